package app

import (
	"crypto/tls"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/client/api"
	"conpaas/client/daemon"
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
		current, by, renew = made, serving, now.Add(made.Leaf.NotAfter.Sub(now)*2/3)
		return current, nil
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
