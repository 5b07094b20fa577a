package httpapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/auth"
	"conpaas/director/store"
)

// caller is somebody who calls: without anything, with a token, or with a client certificate.
type caller struct {
	name   string
	token  api.Secret
	client *http.Client
}

func newAuthority(t *testing.T, begin time.Time) *ca.Authority {
	t.Helper()
	a, err := ca.New(deployment, begin, 10*365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// prepare fills the database before the director opens it: users with tokens, and certificates of nodes.
func (w *world) prepare(t *testing.T, dir string, long time.Time) {
	t.Helper()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.authority.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), "prepare", func(tx *store.Tx) error {
		if _, err := tx.AddAuthority(store.AuthorityCA, w.authority.CertificatePEM(), key, true); err != nil {
			return err
		}
		w.add("anonymous", "")
		unknown, _ := auth.NewToken()
		w.add("badtoken", unknown)
		for _, name := range []string{"admin", "owner", "stranger", "viewer", "operator"} {
			if err := w.addUser(tx, name); err != nil {
				return err
			}
		}
		return w.addNodes(t, tx, long)
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// password is that of every user, in the form that the database has it in.
const password = "correct horse battery"

func (w *world) addUser(tx *store.Tx, name string) error {
	hash, err := auth.NewPasswords().Hash(context.Background(), password)
	if err != nil {
		return err
	}
	role := api.RoleUser
	if name == "admin" {
		role = api.RoleAdmin
	}
	u, err := tx.CreateUser(store.User{Name: name, Role: role, Password: hash, Credit: 1000})
	if err != nil {
		return err
	}
	if name == "owner" { // a token for a program, to be revoked
		_, hash := auth.NewToken()
		if _, err := tx.AddToken(hash, store.Token{User: u.ID, Name: ownToken, Expires: time.Now().Add(time.Hour)}); err != nil {
			return err
		}
	}
	for _, spare := range []bool{false, true} {
		token, hash := auth.NewToken()
		if _, err := tx.AddToken(hash, store.Token{User: u.ID, Expires: time.Now().Add(time.Hour)}); err != nil {
			return err
		}
		if spare {
			w.tokens[name] = token
		} else {
			w.add(name, token)
		}
	}
	return nil
}

// addNodes issues the certificates of nodes that call: good ones, and ones that must open little or nothing.
func (w *world) addNodes(t *testing.T, tx *store.Tx, long time.Time) error {
	now := time.Now()
	foreign := newAuthority(t, long)
	for _, n := range []struct {
		name, node string
		role       certs.Role
		end        time.Time
		by         *ca.Authority
		known      bool // to the database
		revoked    bool
	}{
		{"manager", ownManager, certs.RoleManager, now.Add(time.Hour), w.authority, true, false},
		{"agent", ownAgent, certs.RoleAgent, now.Add(time.Hour), w.authority, true, false},
		{"gone", goneNode, certs.RoleAgent, now.Add(time.Hour), w.authority, true, false},
		{"expired", ownAgent, certs.RoleAgent, now.Add(-24 * time.Hour), w.authority, true, false},
		{"revoked", ownAgent, certs.RoleAgent, now.Add(time.Hour), w.authority, true, true},
		{"unlisted", ownAgent, certs.RoleAgent, now.Add(time.Hour), w.authority, false, false},
		{"otherca", ownAgent, certs.RoleAgent, now.Add(time.Hour), foreign, true, false},
		{"usercert", "", certs.RoleUser, now.Add(time.Hour), w.authority, true, true},
		{"certified", "", certs.RoleUser, now.Add(time.Hour), w.authority, true, false},
		{"user expired", "", certs.RoleUser, now.Add(-time.Hour), w.authority, true, false},
		{"user unlisted", "", certs.RoleUser, now.Add(time.Hour), w.authority, false, false},
		{"user otherca", "", certs.RoleUser, now.Add(time.Hour), foreign, true, false},
		{"user elsewhere", "", certs.RoleUser, now.Add(time.Hour), w.authority, true, false},
		{"user unknown", "", certs.RoleUser, now.Add(time.Hour), w.authority, true, false},
		{"user exchanged", "", certs.RoleUser, now.Add(time.Hour), w.authority, true, false},
		{"laptop", "", certs.RoleUser, now.Add(time.Hour), w.authority, true, false},
		{"spare", "", certs.RoleUser, now.Add(time.Hour), w.authority, true, false},
		{"elsewhere", ownAgent, certs.RoleAgent, now.Add(time.Hour), w.authority, true, false},
		{"misplaced", ownAgent, certs.RoleAgent, now.Add(time.Hour), w.authority, true, false},
	} {
		key, err := certs.NewKey()
		if err != nil {
			return err
		}
		id := certs.Identity{Deployment: deployment, Role: n.role, User: "2", Application: ownApplication, Node: n.node}
		if n.role == certs.RoleUser {
			id.Application, id.User = "", "3" // of the stranger
		}
		if n.name == "laptop" || n.name == ownCertificate {
			id.User = ownUser
		}
		if n.name == "misplaced" {
			id.Application = "2"
		}
		switch n.name {
		case "elsewhere", "user elsewhere":
			id.Deployment = "other"
		case "user unknown":
			id.User = "99"
		}
		issued, err := n.by.Issue(ca.Request{Identity: id, PublicKey: key.Public(), NotBefore: long.Add(time.Hour), NotAfter: n.end, Client: true})
		if err != nil {
			return err
		}
		if n.known {
			if n.name == "user exchanged" { // what the database knows is another user's
				id.User = ownUser
			}
			row := store.Certificate{Serial: issued.Serial, Identity: id.String(), Role: string(id.Role), Name: n.name, NotAfter: issued.NotAfter}
			if n.role == certs.RoleUser {
				row.User = api.UserID(map[string]int64{"2": 2, "3": 3, "99": 99}[id.User])
			}
			if _, err := tx.AddCertificate(row); err != nil {
				return err
			}
		}
		if n.revoked {
			if err := tx.RevokeCertificate(issued.Serial, "for the test"); err != nil {
				return err
			}
		}
		w.add(n.name, "", tls.Certificate{Certificate: [][]byte{issued.Certificate.Raw}, PrivateKey: key})
	}
	return nil
}

func (w *world) add(name string, token api.Secret, certificates ...tls.Certificate) {
	roots := x509.NewCertPool()
	roots.AddCert(w.authority.Certificate())
	w.callers[name] = &caller{name: name, token: token, client: &http.Client{
		Transport:     wire.NewTransport(&tls.Config{RootCAs: roots, Certificates: certificates, NextProtos: []string{"http/1.1"}}, ""),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}}
}
