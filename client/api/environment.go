package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
)

// NamesDomain is what the names of services end in.
const NamesDomain = "internal"

// HostName is a name of a service, which every machine of its application resolves without asking anybody.
type HostName struct {
	Name      string       `json:"name" doc:"SERVICE.APPLICATION.internal, as HostNameOf makes it"`
	Addresses []netip.Addr `json:"addresses" doc:"On the overlay: of machines that take the service's connections, the oldest first"`
}

// Names is the body of PUT /v1/names, from manager to agent: all names that the node is to resolve.
type Names struct {
	Names []HostName `json:"names"`
}

// SumNames tells lists of names apart; "" stands for no names.
func SumNames(names []HostName) string {
	if len(names) == 0 {
		return ""
	}
	text, _ := json.Marshal(names) // strings and addresses always have a JSON form
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// HostNameOf gives the name of a service on the machines of its application: both names in lower case, with '-' for
// what no host name has.
func HostNameOf(service, application string) string {
	return label(service) + "." + label(application) + "." + NamesDomain
}

func label(name string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
}

// LinkKind says what a type offers to the services that are linked with one of it.
type LinkKind struct {
	Prefix string `json:"prefix" doc:"What the names of the variables begin with, for example MYSQL"`
	Port   uint16 `json:"port"`
	User   string `json:"user,omitempty" doc:"Name to log in by, where there is one"`
	Secret string `json:"secret,omitempty" doc:"Which secret of the service is the password of that user"`
}

// Environment is what the programs of a service get as environment variables, and where each is from.
type Environment struct {
	Variables []Variable `json:"variables" doc:"By name"`
	Links     []string   `json:"links,omitempty" doc:"Names of the services that it was linked with, in that order; none: it is linked with every service that offers something"`
}

// Variable is one environment variable of a service.
type Variable struct {
	Name  string       `json:"name"`
	Value string       `json:"value" doc:"*** of a secret"`
	From  VariableFrom `json:"from"`
	Link  string       `json:"link,omitempty" doc:"The service that it comes from"`
}

// VariableFrom says where a variable is from. An own secret counts before an own variable, both before a link.
type VariableFrom string

// Where variables are from.
const (
	FromSecret   VariableFrom = "secret"
	FromVariable VariableFrom = "variable"
	FromLink     VariableFrom = "link"
)

// EnvironmentChange is the body of PUT …/environment. All of it happens, or nothing.
type EnvironmentChange struct {
	Set     map[string]string `json:"set,omitempty" doc:"Variables to set"`
	Secrets map[string]Secret `json:"secrets,omitempty" doc:"Secrets to set: variables whose values are never shown again"`
	Unset   []string          `json:"unset,omitempty" doc:"Variables and secrets to forget"`
	Link    []string          `json:"link,omitempty" doc:"Services of the application, by name or id, whose variables are wanted"`
	Unlink  []string          `json:"unlink,omitempty"`
}

// Masked is shown in place of secrets.
const Masked = masked
