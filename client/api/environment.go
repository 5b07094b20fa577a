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
