package managertest

import (
	"crypto/tls"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
)

// ownCertificate is the director's.
func (d *Director) ownCertificate() func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	d.t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		d.t.Fatal(err)
	}
	issued, err := d.authority.Issue(ca.Request{
		Identity: certs.Identity{Deployment: Deployment, Role: certs.RoleDirector}, PublicKey: key.Public(), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), Server: true,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{issued.Certificate.Raw}, PrivateKey: key, Leaf: issued.Certificate}
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }
}

// Store gives a certificate store of a machine with an identity, valid for life.
func (d *Director) Store(id certs.Identity, life time.Duration) *mtls.Store {
	d.t.Helper()
	store, err := mtls.Open(d.t.TempDir())
	if err != nil {
		d.t.Fatal(err)
	}
	key, err := store.Key()
	if err != nil {
		d.t.Fatal(err)
	}
	csr, err := certs.CSR(key)
	if err != nil {
		d.t.Fatal(err)
	}
	pem, err := d.Certificate(id, csr, life)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := store.Save(pem, d.authority.CertificatePEM()); err != nil {
		d.t.Fatal(err)
	}
	return store
}
