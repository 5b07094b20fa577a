// Package manifest says what a manifest is: a document, JSON or YAML, of a whole application with its services. It reads
// and writes manifests, compares them, and makes an application what its manifest says.
//
// The keys are those that users of ConPaaS know. The package calls a director through an interface of its own; it knows
// nothing of commands, terminals and the network.
package manifest

import (
	"errors"
	"maps"
	"slices"

	"conpaas/client/api"
)

// ErrManifest is wrapped by every error about what a manifest says.
var ErrManifest = errors.New("the manifest has mistakes")

// Masked stands for a secret in what is shown and exported. In a manifest that is applied it means: as it is, or a new one
// where there is none.
const Masked = "***"

// Manifest is an application as a person writes it down. The zero value of a member means that nothing is said.
type Manifest struct {
	Application string
	Description string // for people; it is not kept
	Cloud       string
	Services    []Service // in the order in which they are made
	Volumes     []Volume
}

// Service is one service of a manifest.
type Service struct {
	Name             string // unique in the manifest; empty: Complete gives one
	Type             api.ServiceType
	Cloud            string
	Start            bool             // whether it is to run
	StartupInstances map[api.Role]int // dedicated machines per role; others have what the type begins with
	StartupScript    string           // file or URL of the start-up script
	Archive          string           // file or URL of the code of a hosting service
	Dump             string           // file or URL of a dump that is loaded when the service is new
	Password         api.Secret       // of the user of a database
	Settings         map[string]string
	Environment      map[string]string
	Secrets          map[string]api.Secret
	Links            []string // names of services; none: all that offer something
	Foreign          []string // keys of the original that no type has here: an error, unless the service is left out
}

// Find gives the service of that name.
func (m Manifest) Find(name string) (Service, bool) {
	i := slices.IndexFunc(m.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return m.Services[i], true
}

// Files gives what is to be read for the service, by key.
func (s Service) Files() map[string]string {
	files := map[string]string{"Archive": s.Archive, "Dump": s.Dump, "StartupScript": s.StartupScript}
	maps.DeleteFunc(files, func(_, name string) bool { return name == "" })
	return files
}
