package certs_test

import (
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/certs"
)

func TestIdentityForms(t *testing.T) {
	for _, tt := range []struct {
		id       certs.Identity
		uri, dns string
	}{
		{certs.Identity{Deployment: "conpaas", Role: certs.RoleDirector}, "conpaas:conpaas/director/-/-/-", ""},
		{certs.Identity{Deployment: "conpaas", Role: certs.RoleUser, User: "7"}, "conpaas:conpaas/user/7/-/-", ""},
		{certs.Identity{Deployment: "site-2", Role: certs.RoleManager, User: "7", Application: "3", Node: "n12"}, "conpaas:site-2/manager/7/3/n12", "n12.a3.site-2.internal"},
		{certs.Identity{Deployment: "conpaas", Role: certs.RoleAgent, Application: "3", Node: "n13"}, "conpaas:conpaas/agent/-/3/n13", "n13.a3.conpaas.internal"},
	} {
		if got := tt.id.URI().String(); got != tt.uri {
			t.Errorf("URI of %+v is %q, want %q", tt.id, got, tt.uri)
		}
		if got := tt.id.DNSName(); got != tt.dns {
			t.Errorf("DNS name of %+v is %q, want %q", tt.id, got, tt.dns)
		}
		if got, err := certs.ParseURI(tt.uri); err != nil || got != tt.id {
			t.Errorf("ParseURI(%q) = %+v, %v", tt.uri, got, err)
		}
	}
}

func TestParseURIRefuses(t *testing.T) {
	for _, s := range []string{
		"", "conpaas:", "conpaas:d/user/1/-", "conpaas:d/user/1/-/-/-", "https://d/user/1/-/-", "CONPAAS:d/user/1/-/-",
		"conpaas:d/root/1/-/-",        // unknown role
		"conpaas:d/user/-/-/-",        // a user without id
		"conpaas:d/user/1/2/-",        // a user with an application
		"conpaas:d/director/1/-/-",    // a director with a user
		"conpaas:d/agent/1/-/n1",      // a node without application
		"conpaas:d/agent/1/2/-",       // a node without id
		"conpaas:d/agent/1/2/N1",      // one DNS name for two identities
		"conpaas:d/agent/1/2/n1.a2.d", // another DNS name
		"conpaas:d/agent//2/n1",       // empty
		"conpaas:-/agent/1/2/n1",      // no deployment
		"conpaas:d.e/agent/1/2/n1",    // not one label
		"conpaas:d/agent/1/2/n1?x",    // query
		"conpaas:d/agent/1/2/n%31",    // escape
		"conpaas:d/agent/1/2/n1\x00",  // NUL
		"conpaas:d/agent/1/2/-n1",     // label form
		"conpaas:d/agent/1/2/ü",       // not ASCII
		"conpaas:d/agent/1/2/ n1",     // space
		"conpaas:" + strings.Repeat("d", 63) + "/user/1/-/-",
	} {
		if id, err := certs.ParseURI(s); !errors.Is(err, certs.ErrIdentity) {
			t.Errorf("ParseURI(%q) = %+v, %v; want an ErrIdentity", s, id, err)
		}
	}
}

func TestIdentityRoundTrip(t *testing.T) {
	label := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		id := certs.Identity{Deployment: label.Draw(t, "deployment")}
		id.Role = rapid.SampledFrom([]certs.Role{certs.RoleDirector, certs.RoleUser, certs.RoleManager, certs.RoleAgent}).Draw(t, "role")
		if id.Role != certs.RoleDirector {
			id.User = label.Draw(t, "user")
		}
		if id.Role == certs.RoleManager || id.Role == certs.RoleAgent {
			id.Application, id.Node = label.Draw(t, "application"), label.Draw(t, "node")
		}
		got, err := certs.ParseURI(id.String())
		if err != nil || got != id {
			t.Fatalf("%q gives %+v, %v; want %+v", id, got, err, id)
		}
	})
}

func TestFromCertificateWantsOneURI(t *testing.T) {
	agent := certs.Identity{Deployment: "d", Role: certs.RoleAgent, Application: "3", Node: "n1"}
	admin := certs.Identity{Deployment: "d", Role: certs.RoleUser, User: "1"}
	web, err := url.Parse("https://example.org/")
	if err != nil {
		t.Fatal(err)
	}
	for name, uris := range map[string][]*url.URL{
		"none": nil, "two identities": {agent.URI(), admin.URI()}, "the same twice": {agent.URI(), agent.URI()},
		"another beside it": {agent.URI(), web}, "another": {web},
	} {
		if id, err := certs.FromCertificate(&x509.Certificate{URIs: uris}); !errors.Is(err, certs.ErrIdentity) {
			t.Errorf("%s: got %+v, %v; want an ErrIdentity", name, id, err)
		}
	}
	if id, err := certs.FromCertificate(&x509.Certificate{URIs: []*url.URL{agent.URI()}}); err != nil || id != agent {
		t.Errorf("got %+v, %v; want %+v", id, err, agent)
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("conpaas:conpaas/agent/1/3/n12")
	f.Add("conpaas:conpaas/director/-/-/-")
	f.Add("conpaas:a/user/1/-/-/")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := certs.ParseURI(s)
		if err != nil {
			return
		}
		if id.String() != s {
			t.Fatalf("%q is read as %q: two texts for one identity", s, id)
		}
	})
}
