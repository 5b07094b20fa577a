package mtls_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/mtls"
)

func TestVerifyTimes(t *testing.T) {
	a := newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(-time.Minute).Truncate(time.Second)
	to := from.Add(30 * day)
	cs := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{issue(t, a, agent, key, from, to).Certificate}}
	for _, tt := range []struct {
		name        string
		at          time.Time
		ok, expired bool
	}{
		{"before it begins", from.Add(-time.Second), false, false},
		{"first moment", from, true, false},
		{"last moment", to, true, false},
		{"just expired", to.Add(time.Nanosecond), true, true},
		{"end of the grace", to.Add(90*day - time.Second), true, true},
		{"after the grace", to.Add(90 * day), false, false},
	} {
		peer, err := mtls.Verify(cs, pool, tt.at)
		if (err == nil) != tt.ok || peer.Expired != tt.expired {
			t.Errorf("%s: peer %+v, %v; want ok %t, expired %t", tt.name, peer, err, tt.ok, tt.expired)
		}
		if err == nil && peer.Identity != agent {
			t.Errorf("%s: identity %+v", tt.name, peer.Identity)
		}
	}
	if _, err := mtls.Verify(cs, nil, from); err == nil {
		t.Error("accepted without roots")
	}
	other := x509.NewCertPool()
	other.AddCert(newAuthority(t).Certificate())
	for _, at := range []time.Time{from, to.Add(day)} { // an expired one of another CA must not slip through the grace
		if _, err := mtls.Verify(cs, other, at); err == nil {
			t.Errorf("accepted for another CA at %s", at)
		}
	}
}

func TestVerifyWithoutCertificate(t *testing.T) {
	for _, cs := range []*tls.ConnectionState{nil, {}} {
		if _, err := mtls.Verify(cs, x509.NewCertPool(), time.Now()); !errors.Is(err, mtls.ErrNoCertificate) {
			t.Errorf("error %v, want ErrNoCertificate", err)
		}
	}
}

// Certificates that this CA never issues but whose signature is right.
func TestVerifyUsageAndNames(t *testing.T) {
	a := newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := a.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := certs.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	admin := certs.Identity{Deployment: "conpaas", Role: certs.RoleUser, User: "1"}
	for _, tt := range []struct {
		name  string
		usage []x509.ExtKeyUsage
		uris  []*url.URL
		isCA  bool
		ok    bool
	}{
		{"a good one", client, []*url.URL{agent.URI()}, false, true},
		{"for servers only", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []*url.URL{agent.URI()}, false, false},
		{"no usage", nil, []*url.URL{agent.URI()}, false, false},
		{"a CA", client, []*url.URL{agent.URI()}, true, false},
		{"two identities", client, []*url.URL{agent.URI(), admin.URI()}, false, false},
		{"no identity", client, nil, false, false},
	} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, BasicConstraintsValid: true, IsCA: tt.isCA,
			NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(day), ExtKeyUsage: tt.usage, URIs: tt.uris,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate(), &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if peer, err := mtls.Verify(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}, pool, time.Now()); (err == nil) != tt.ok {
			t.Errorf("%s: %+v, %v; want ok %t", tt.name, peer, err, tt.ok)
		}
	}
}
