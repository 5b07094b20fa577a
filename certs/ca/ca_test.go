package ca_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

const day = 24 * time.Hour

func newAuthority(t *testing.T) *ca.Authority {
	t.Helper()
	a, err := ca.New("conpaas", now, 3650*day)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func nodeRequest(t *testing.T, role certs.Role) ca.Request {
	t.Helper()
	k, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return ca.Request{
		Identity:  certs.Identity{Deployment: "conpaas", Role: role, User: "7", Application: "3", Node: "n12"},
		PublicKey: &k.PublicKey, NotBefore: now, NotAfter: now.Add(30 * day), Client: true,
	}
}

func issue(t *testing.T, a *ca.Authority, r ca.Request) ca.Issued {
	t.Helper()
	out, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// verifies tells whether a fresh reader of the PEM accepts the certificate for the usage and the name.
func verifies(t *testing.T, root *ca.Authority, text []byte, usage x509.ExtKeyUsage, name string) error {
	t.Helper()
	list, err := certs.ParseCertificates(text)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := certs.Pool(root.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	_, err = list[0].Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now.Add(time.Minute), DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestIssueRoles(t *testing.T) {
	a := newAuthority(t)
	agent := nodeRequest(t, certs.RoleAgent)
	manager := nodeRequest(t, certs.RoleManager)
	manager.Server = true
	director := nodeRequest(t, certs.RoleDirector)
	director.Identity = certs.Identity{Deployment: "conpaas", Role: certs.RoleDirector}
	director.DNSNames, director.IPs = []string{"paas.example.org"}, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	director.Server = true
	for _, tt := range []struct {
		name   string
		r      ca.Request
		dns    string
		server bool
	}{
		{"agent", agent, "n12.a3.conpaas.internal", false},
		{"manager", manager, "n12.a3.conpaas.internal", true},
		{"director", director, "paas.example.org", true},
		{"director by address", director, "2001:db8::1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := issue(t, a, tt.r)
			if err := verifies(t, a, out.PEM, x509.ExtKeyUsageClientAuth, tt.dns); err != nil {
				t.Errorf("as client: %v", err)
			}
			if err := verifies(t, a, out.PEM, x509.ExtKeyUsageServerAuth, tt.dns); (err == nil) != tt.server {
				t.Errorf("as server: %v, want success: %t", err, tt.server)
			}
			if err := verifies(t, newAuthority(t), out.PEM, x509.ExtKeyUsageClientAuth, tt.dns); err == nil {
				t.Error("another authority of the same name accepts it")
			}
			id, err := certs.FromCertificate(out.Certificate)
			if err != nil || id != tt.r.Identity {
				t.Errorf("identity %+v, %v; want %+v", id, err, tt.r.Identity)
			}
			if out.Certificate.IsCA || !out.NotAfter.Equal(tt.r.NotAfter) {
				t.Errorf("CA %t, ends %s", out.Certificate.IsCA, out.NotAfter)
			}
		})
	}
}

func TestCommonName(t *testing.T) {
	a := newAuthority(t)
	director := nodeRequest(t, certs.RoleDirector)
	director.Identity = certs.Identity{Deployment: "conpaas", Role: certs.RoleDirector}
	director.DNSNames = []string{"paas.example.org", "other.example.org"}
	user := nodeRequest(t, certs.RoleUser)
	user.Identity = certs.Identity{Deployment: "conpaas", Role: certs.RoleUser, User: "7"}
	long := director
	long.DNSNames = []string{strings.Repeat("a", 60) + ".example.org"}
	for want, r := range map[string]ca.Request{"paas.example.org": director, "7": user, strings.Repeat("a", 60) + ".exa": long} {
		if got := issue(t, a, r).Certificate.Subject.CommonName; got != want {
			t.Errorf("common name %q, want %q", got, want)
		}
	}
}

func TestSerials(t *testing.T) {
	a, r := newAuthority(t), nodeRequest(t, certs.RoleAgent)
	seen := map[string]bool{}
	high := 0
	for range 200 {
		out := issue(t, a, r)
		if len(out.Serial) != 32 || seen[out.Serial] || out.Serial != certs.Serial(out.Certificate) {
			t.Fatalf("serial %q, seen before: %t", out.Serial, seen[out.Serial])
		}
		if out.Serial[0] >= '8' {
			high++
		}
		seen[out.Serial] = true
	}
	if high == 0 || high == 200 { // 2^-199 by chance
		t.Errorf("the highest of 128 bits is set in %d of 200 serials", high)
	}
}

func TestIssueRefuses(t *testing.T) {
	a := newAuthority(t)
	for name, change := range map[string]func(*ca.Request){
		"an agent as server":   func(r *ca.Request) { r.Server = true },
		"no usage":             func(r *ca.Request) { r.Client = false },
		"no identity":          func(r *ca.Request) { r.Identity = certs.Identity{} },
		"no key":               func(r *ca.Request) { r.PublicKey = nil },
		"ends before it began": func(r *ca.Request) { r.NotAfter = r.NotBefore.Add(-1) },
		"after the authority":  func(r *ca.Request) { r.NotBefore, r.NotAfter = now.Add(3651*day), now.Add(3652*day) },
		"an invalid address":   func(r *ca.Request) { r.IPs = []netip.Addr{{}} },
		"another kind of key": func(r *ca.Request) {
			public, _, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			r.PublicKey = public
		},
	} {
		r := nodeRequest(t, certs.RoleAgent)
		change(&r)
		if out, err := a.Issue(r); err == nil {
			t.Errorf("%s: issued %s", name, out.Serial)
		}
	}
}

func TestIssueEndsWithTheAuthority(t *testing.T) {
	a, r := newAuthority(t), nodeRequest(t, certs.RoleAgent)
	r.NotAfter = now.Add(9999 * day)
	if out := issue(t, a, r); !out.NotAfter.Equal(a.Certificate().NotAfter) {
		t.Errorf("ends at %s, the authority at %s", out.NotAfter, a.Certificate().NotAfter)
	}
}

func TestLoad(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	key, err := a.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ca.Load(a.CertificatePEM(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifies(t, a, issue(t, b, nodeRequest(t, certs.RoleAgent)).PEM, x509.ExtKeyUsageClientAuth, ""); err != nil {
		t.Errorf("what the loaded authority issued: %v", err)
	}
	leaf := nodeRequest(t, certs.RoleAgent)
	leaf.PublicKey = a.Certificate().PublicKey
	for name, text := range map[string][]byte{
		"another's certificate": other.CertificatePEM(), "a leaf": issue(t, a, leaf).PEM, "nothing": nil,
		"two": slices.Concat(a.CertificatePEM(), other.CertificatePEM()),
	} {
		if _, err := ca.Load(text, key); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
	if _, err := ca.Load(a.CertificatePEM(), bytes.Repeat([]byte("x"), 100)); err == nil {
		t.Error("a broken key: loaded")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{"", "Two Words", "a.b"} {
		if _, err := ca.New(name, now, day); err == nil {
			t.Errorf("made an authority for deployment %q", name)
		}
	}
	if _, err := ca.New("conpaas", now, 0); err == nil {
		t.Error("made an authority without life")
	}
}

// A holder of a certificate must not be able to issue others with it.
func TestLeafIsNoAuthority(t *testing.T) {
	a := newAuthority(t)
	k, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	r := nodeRequest(t, certs.RoleManager)
	r.PublicKey = &k.PublicKey
	leaf := issue(t, a, r).Certificate
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	between := x509.NewCertPool()
	between.AddCert(leaf)
	forged := *issue(t, a, nodeRequest(t, certs.RoleAgent)).Certificate
	der, err := x509.CreateCertificate(rand.Reader, &forged, leaf, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("a certificate signed by a manager is accepted")
	}
}
