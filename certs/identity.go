// Package certs says who a certificate belongs to: the identity that every certificate of an installation carries,
// and the PEM forms of keys, requests and certificates.
//
// It must not know files, networks, databases or API types; certs/ca issues and certs/mtls uses what is described here.
package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Role is what the holder of a certificate is.
type Role string

// The roles of an installation.
const (
	RoleDirector Role = "director" // the director itself; it has no user, application or node
	RoleUser     Role = "user"     // a person or program; it has a user
	RoleManager  Role = "manager"  // the node that manages an application
	RoleAgent    Role = "agent"    // any other node of an application
)

// ErrIdentity is wrapped by every error about an identity that is malformed or missing.
var ErrIdentity = errors.New("invalid identity")

const (
	scheme  = "conpaas"
	none    = "-"        // stands in the URI for a member that does not apply
	zone    = "internal" // top-level domain that ICANN keeps for private use: no resolver outside answers for it
	longest = 62         // bytes of a member: a DNS label has 63 and the application's has an "a" before it
)

// Identity is the holder of a certificate. User and Application are ids in decimal, Node is a node id such as "n12";
// a member that does not apply to the role is "".
type Identity struct {
	Deployment  string // name of the installation
	Role        Role
	User        string
	Application string
	Node        string
}

// Check tells what is wrong with the identity: members that a role needs, or must not have, and their characters.
func (i Identity) Check() error {
	if err := CheckDeployment(i.Deployment); err != nil {
		return err
	}
	members := []struct{ name, value string }{{"user", i.User}, {"application", i.Application}, {"node", i.Node}}
	for _, m := range members {
		if m.value != "" && !isLabel(m.value) {
			return fmt.Errorf("%w: %s %q: lower-case letters, digits and inner '-' are allowed, at most %d bytes", ErrIdentity, m.name, m.value, longest)
		}
	}
	var needed, refused []string
	switch i.Role {
	case RoleDirector:
		refused = []string{i.User, i.Application, i.Node}
	case RoleUser:
		needed, refused = []string{i.User}, []string{i.Application, i.Node}
	case RoleManager, RoleAgent:
		needed = []string{i.Application, i.Node}
	default:
		return fmt.Errorf("%w: unknown role %q", ErrIdentity, i.Role)
	}
	if slices.Contains(needed, "") || slices.ContainsFunc(refused, func(v string) bool { return v != "" }) {
		return fmt.Errorf("%w: role %s does not go with user %q, application %q, node %q", ErrIdentity, i.Role, i.User, i.Application, i.Node)
	}
	return nil
}

// CheckDeployment tells whether name can be the name of an installation: one label of a DNS name.
func CheckDeployment(name string) error {
	if !isLabel(name) {
		return fmt.Errorf("%w: deployment name %q: use 1 to %d lower-case letters, digits and inner '-'", ErrIdentity, name, longest)
	}
	return nil
}

// URI gives the identity as it stands in a certificate: conpaas:<deployment>/<role>/<user>/<application>/<node>, with
// "-" for members that do not apply.
func (i Identity) URI() *url.URL {
	parts := []string{i.Deployment, string(i.Role), i.User, i.Application, i.Node}
	for n, part := range parts {
		if part == "" {
			parts[n] = none
		}
	}
	return &url.URL{Scheme: scheme, Opaque: strings.Join(parts, "/")}
}

// String gives the URI.
func (i Identity) String() string { return i.URI().String() }

// DNSName gives the name that a node's certificate carries beside its URI; it is "" for other roles.
func (i Identity) DNSName() string {
	if i.Role != RoleManager && i.Role != RoleAgent {
		return ""
	}
	return NodeDNSName(i.Deployment, i.Application, i.Node)
}

// NodeDNSName gives the DNS name of a node, for example n12.a3.conpaas.internal. Nobody resolves it: it is the
// ServerName that a caller demands of the certificate at the other end.
func NodeDNSName(deployment, application, node string) string {
	return strings.Join([]string{node, "a" + application, deployment, zone}, ".")
}

// ParseURI reads what Identity.URI has written, and nothing else.
func ParseURI(s string) (Identity, error) {
	rest, ok := strings.CutPrefix(s, scheme+":")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 5 {
		return Identity{}, fmt.Errorf("%w: %q is not %s:<deployment>/<role>/<user>/<application>/<node>", ErrIdentity, s, scheme)
	}
	for n, part := range parts {
		switch part {
		case "":
			return Identity{}, fmt.Errorf("%w: %q has an empty part; %q stands for none", ErrIdentity, s, none)
		case none:
			parts[n] = ""
		}
	}
	id := Identity{Deployment: parts[0], Role: Role(parts[1]), User: parts[2], Application: parts[3], Node: parts[4]}
	if err := id.Check(); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// FromCertificate gives the identity of a certificate. The certificate must carry exactly one URI, and that must be an
// identity: with two it would be open which of them counts. It does not verify the certificate.
func FromCertificate(c *x509.Certificate) (Identity, error) {
	if len(c.URIs) != 1 {
		return Identity{}, fmt.Errorf("%w: the certificate of %q has %d URI names, exactly one is needed", ErrIdentity, c.Subject.CommonName, len(c.URIs))
	}
	return ParseURI(c.URIs[0].String())
}

func isLabel(s string) bool {
	if s == "" || len(s) > longest || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
