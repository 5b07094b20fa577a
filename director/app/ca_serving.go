package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/store"
)

// Fingerprint is that of the CA certificate by which people know the installation: the one that vouches for the director.
func (d *Director) Fingerprint() string {
	return certs.Fingerprint(d.trust.Load().serving.Certificate())
}

// CA gives the CA certificates to trust, PEM.
func (d *Director) CA() []byte { return d.trust.Load().pem }

// CABundle gives the CA certificates to trust.
func (d *Director) CABundle() api.CABundle {
	t := d.trust.Load()
	return api.CABundle{Certificates: string(t.pem), Name: t.bundle}
}

// caFile is where people of this host find the CA certificates.
func (d *Director) caFile() string { return filepath.Join(d.config.Dir, "ca.pem") }

// Certificate gives what the listeners show: a certificate for the host name of the director's URL, made anew in
// memory when two thirds of its life are over or another authority vouches for the director.
func (d *Director) Certificate() func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var mu sync.Mutex
	var current *tls.Certificate
	var by *ca.Authority
	var renew time.Time
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		now, serving := time.Now(), d.trust.Load().serving
		if by == serving && now.Before(renew) {
			return current, nil
		}
		made, err := d.ownCertificate(serving, now)
		if err != nil {
			d.log.Error("the director's certificate could not be made", daemon.KeyError, err)
			return current, err
		}
		d.recordOwn(made.Leaf, serving)
		current, by, renew = made, serving, now.Add(made.Leaf.NotAfter.Sub(now)*2/3)
		return current, nil
	}
}

// recordOwn has the list of certificates show the one that the director shows now. That it cannot be written must not keep
// anybody out.
func (d *Director) recordOwn(c *x509.Certificate, by *ca.Authority) {
	id := certs.Identity{Deployment: d.store.Installation().Name, Role: certs.RoleDirector}
	err := d.store.Update(context.Background(), "certificate.shown", func(tx *store.Tx) error {
		if err := tx.RevokeIdentity(id.String(), "the director has another one"); err != nil {
			return err
		}
		_, err := tx.AddCertificate(store.Certificate{
			Serial: certs.Serial(c), Identity: id.String(), Role: string(id.Role), Signer: authorityID(by.Certificate()), NotAfter: c.NotAfter,
		})
		return err
	})
	if err != nil {
		d.log.Warn("the director's new certificate could not be recorded", daemon.KeyError, err)
	}
}

func (d *Director) ownCertificate(by *ca.Authority, now time.Time) (*tls.Certificate, error) {
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	r := ca.Request{
		Identity:  certs.Identity{Deployment: d.store.Installation().Name, Role: certs.RoleDirector},
		PublicKey: key.Public(), NotBefore: by.Certificate().NotBefore, NotAfter: now.Add(d.config.Certificates.Director), Server: true, Client: true,
	}
	if address, err := netip.ParseAddr(d.url.Hostname()); err == nil {
		r.IPs = append(r.IPs, address)
	} else {
		r.DNSNames = append(r.DNSNames, d.url.Hostname())
	}
	issued, err := by.Issue(r)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{issued.Certificate.Raw}, PrivateKey: key, Leaf: issued.Certificate}, nil
}
