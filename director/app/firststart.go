package app

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/auth"
	"conpaas/director/store"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	directorLife  = 90 * 24 * time.Hour // of the director's own certificate; a new one is made at every start and at 2/3 of this
	adminName     = "admin"
	adminFile     = "admin-password"
)

// firstStart makes what a data folder must have: the CA, the key that signs code, and the user admin, whose password is
// in admin-password. What is there already stays.
func (d *Director) firstStart(ctx context.Context) error {
	authority, err := d.ensureCA(ctx)
	if err != nil {
		return err
	}
	d.authority = authority
	if err := daemon.WriteFile(filepath.Join(d.config.Dir, "ca.pem"), authority.CertificatePEM(), 0o644); err != nil {
		return err
	}
	key, err := d.ensureCodeKey(ctx)
	if err != nil {
		return err
	}
	if d.code, err = OpenCode(filepath.Join(d.config.Dir, "code"), d.config.CodeFrom, d.config.Arch, key); err != nil {
		return err
	}
	if err := d.pruneCode(ctx); err != nil {
		return err
	}
	return d.ensureAdmin(ctx)
}

func (d *Director) authorities(ctx context.Context, kind store.AuthorityKind) (found []store.Authority, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		found, err = r.Authorities(kind)
		return err
	})
	return found, err
}

func (d *Director) ensureCA(ctx context.Context) (*ca.Authority, error) {
	found, err := d.authorities(ctx, store.AuthorityCA)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return ca.Load(found[0].Certificate, found[0].Key)
	}
	authority, err := ca.New(d.store.Installation().Name, time.Now(), authorityLife)
	if err != nil {
		return nil, err
	}
	key, err := authority.KeyPEM()
	if err != nil {
		return nil, err
	}
	err = d.store.Update(ctx, "ca.created", func(tx *store.Tx) error {
		_, err := tx.AddAuthority(store.AuthorityCA, authority.CertificatePEM(), key)
		return err
	})
	return authority, err
}

func (d *Director) ensureCodeKey(ctx context.Context) (ed25519.PrivateKey, error) {
	found, err := d.authorities(ctx, store.AuthorityCode)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		block, _ := pem.Decode(found[0].Key)
		if block == nil {
			return nil, fmt.Errorf("the key that signs code is damaged; restore the database from its backup")
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		private, ok := key.(ed25519.PrivateKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("the key that signs code is damaged (%w); restore the database from its backup", err)
		}
		return private, nil
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	err = d.store.Update(ctx, "codekey.created", func(tx *store.Tx) error {
		_, err := tx.AddAuthority(store.AuthorityCode,
			pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}))
		return err
	})
	return private, err
}

func (d *Director) pruneCode(ctx context.Context) error {
	inUse := make(map[string]bool)
	err := d.store.View(ctx, func(r *store.Read) error {
		versions, err := r.CodeVersions()
		for _, v := range versions {
			inUse[v] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.code.Prune(func(version string) bool { return inUse[version] })
}

// ensureAdmin makes the user admin. The password is on disk before the user is in the database, so that a crash in
// between leaves no user whose password nobody knows.
func (d *Director) ensureAdmin(ctx context.Context) error {
	var users []store.User
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		users, _, err = r.Users(store.Page{Limit: 1})
		return err
	})
	if err != nil || len(users) > 0 {
		return err
	}
	password := auth.NewPassword()
	if err := daemon.WriteFile(filepath.Join(d.config.Dir, adminFile), []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	hash, err := d.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return d.store.Update(ctx, "admin.created", func(tx *store.Tx) error {
		_, err := tx.CreateUser(store.User{Name: adminName, Role: api.RoleAdmin, Password: hash})
		return err
	})
}

// Fingerprint is that of the CA's certificate, by which people know the installation.
func (d *Director) Fingerprint() string { return certs.Fingerprint(d.authority.Certificate()) }

// CA gives the CA's certificates, PEM.
func (d *Director) CA() []byte { return d.authority.CertificatePEM() }

// Certificate gives what the listeners show: a certificate for the host name of the director's URL, made anew in
// memory when two thirds of its life are over.
func (d *Director) Certificate() func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var mu sync.Mutex
	var current *tls.Certificate
	var renew time.Time
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if current != nil && now.Before(renew) {
			return current, nil
		}
		made, err := d.ownCertificate(now)
		if err != nil {
			d.log.Error("the director's certificate could not be made", daemon.KeyError, err)
			return current, err
		}
		current, renew = made, now.Add(directorLife*2/3)
		return current, nil
	}
}

func (d *Director) ownCertificate(now time.Time) (*tls.Certificate, error) {
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	r := ca.Request{
		Identity:  certs.Identity{Deployment: d.store.Installation().Name, Role: certs.RoleDirector},
		PublicKey: key.Public(), NotBefore: now.Add(-clockSkew), NotAfter: now.Add(directorLife), Server: true, Client: true,
	}
	if address, err := netip.ParseAddr(d.url.Hostname()); err == nil {
		r.IPs = append(r.IPs, address)
	} else {
		r.DNSNames = append(r.DNSNames, d.url.Hostname())
	}
	issued, err := d.authority.Issue(r)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{issued.Certificate.Raw}, PrivateKey: key, Leaf: issued.Certificate}, nil
}
