package api

import "slices"

// ServiceType names a type of service, for example php.
type ServiceType string

// Role names what a machine does inside a service, for example backend.
type Role string

// ServiceKind is one row of the catalogue: all that director, manager, command line, pages and image
// recipes need to know of a service type.
type ServiceKind struct {
	Type        ServiceType `json:"type"`
	Description string      `json:"description"`
	Roles       []RoleKind  `json:"roles" doc:"The first is the default role, and the one that is never removed"`
	Settings    []Setting   `json:"settings,omitempty"`
}

// RoleKind is one role of a service type.
type RoleKind struct {
	Role        Role                `json:"role"`
	Description string              `json:"description"`
	Start       int                 `json:"start" doc:"Dedicated machines of a new service"`
	Min         int                 `json:"min" doc:"Fewest dedicated machines; 0: the role can be packed on the first machine"`
	Packages    map[string][]string `json:"packages" doc:"Packages per distribution, for example debian-12"`
}

// Setting is one thing that a user can set on a service.
type Setting struct {
	Name    string `json:"name"`
	Help    string `json:"help"`
	Default string `json:"default"`
}

// Debian12 is the key of RoleKind.Packages for the distribution that images are made of.
const Debian12 = "debian-12"

// catalogue has every service type, in the order in which they are shown.
var catalogue = []ServiceKind{
	{
		Type:        "helloworld",
		Description: "One web page per machine: the template for authors of services",
		Roles: []RoleKind{{
			Role: "node", Description: "serves the page with nginx", Start: 1, Min: 1,
			Packages: map[string][]string{Debian12: {"nginx-light"}},
		}},
		Settings: []Setting{{Name: "greeting", Help: "The text of the page", Default: "Hello, world"}},
	},
}

// Catalogue gives a copy of every service type, in the order in which they are shown.
func Catalogue() []ServiceKind { return slices.Clone(catalogue) }

// FindServiceKind gives the row of a type.
func FindServiceKind(t ServiceType) (ServiceKind, bool) {
	i := slices.IndexFunc(catalogue, func(k ServiceKind) bool { return k.Type == t })
	if i < 0 {
		return ServiceKind{}, false
	}
	return catalogue[i], true
}

// FindRole gives the row of a role of the type.
func (k ServiceKind) FindRole(r Role) (RoleKind, bool) {
	i := slices.IndexFunc(k.Roles, func(kind RoleKind) bool { return kind.Role == r })
	if i < 0 {
		return RoleKind{}, false
	}
	return k.Roles[i], true
}

// RoleNames gives the roles of the type, the default one first.
func (k ServiceKind) RoleNames() []Role {
	names := make([]Role, len(k.Roles))
	for i, r := range k.Roles {
		names[i] = r.Role
	}
	return names
}
