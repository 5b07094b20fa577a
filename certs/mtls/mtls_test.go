package mtls_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const day = 24 * time.Hour

var (
	agent   = certs.Identity{Deployment: "conpaas", Role: certs.RoleAgent, User: "7", Application: "3", Node: "n13"}
	manager = certs.Identity{Deployment: "conpaas", Role: certs.RoleManager, User: "7", Application: "3", Node: "n12"}
)

func newAuthority(t *testing.T) *ca.Authority {
	t.Helper()
	a, err := ca.New("conpaas", time.Now().Add(-time.Hour), 3650*day)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *ca.Authority, id certs.Identity, key *ecdsa.PrivateKey, from, to time.Time) ca.Issued {
	t.Helper()
	out, err := a.Issue(ca.Request{Identity: id, PublicKey: &key.PublicKey, NotBefore: from, NotAfter: to, Server: id.Role == certs.RoleManager, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func open(t *testing.T, dir string) *mtls.Store {
	t.Helper()
	s, err := mtls.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// joined gives a store in dir that holds a certificate of a.
func joined(t *testing.T, dir string, a *ca.Authority, id certs.Identity, from, to time.Time) *mtls.Store {
	t.Helper()
	s := open(t, dir)
	key, err := s.Key()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(issue(t, a, id, key, from, to).PEM, a.CertificatePEM()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStoreIsEmptyAtFirst(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Certificate(); !errors.Is(err, mtls.ErrNoCertificate) {
		t.Errorf("certificate: %v, want ErrNoCertificate", err)
	}
	if s.Leaf() != nil || s.Roots() == nil || !s.Roots().Equal(x509.NewCertPool()) {
		t.Errorf("leaf %v, roots %v", s.Leaf(), s.Roots())
	}
}

func TestStoreSurvivesReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	first, err := open(t, dir).Key()
	if err != nil {
		t.Fatal(err)
	}
	again, err := open(t, dir).Key()
	if err != nil || !again.Equal(first) {
		t.Fatalf("a join that was interrupted has another key, %v", err)
	}
	a := newAuthority(t)
	s := joined(t, dir, a, agent, time.Now().Add(-time.Minute), time.Now().Add(day))
	o := open(t, dir)
	if o.Leaf() == nil || !o.Leaf().Equal(s.Leaf()) || !o.Roots().Equal(s.Roots()) {
		t.Errorf("leaf %v, want %v", o.Leaf(), s.Leaf())
	}
	if key, err := o.Key(); err != nil || !key.Equal(first) {
		t.Errorf("another key after the join, %v", err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		info, err := e.Info()
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
		names = append(names, e.Name())
	}
	if want := []string{"ca.pem", "node.pem"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
}

func TestSaveRefuses(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	s := joined(t, t.TempDir(), a, agent, time.Now(), time.Now().Add(day))
	key, err := s.Key()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	good := issue(t, a, agent, key, time.Now(), time.Now().Add(day))
	before := s.Leaf()
	for name, pems := range map[string][2][]byte{
		"another key":              {issue(t, a, agent, foreign, time.Now(), time.Now().Add(day)).PEM, a.CertificatePEM()},
		"another CA":               {good.PEM, other.CertificatePEM()},
		"no CA":                    {good.PEM, nil},
		"a CA that is none":        {good.PEM, good.PEM},
		"a text":                   {[]byte("no"), a.CertificatePEM()},
		"one of the CAs is a leaf": {good.PEM, slices.Concat(a.CertificatePEM(), good.PEM)},
	} {
		if err := s.Save(pems[0], pems[1]); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	if s.Leaf() != before {
		t.Error("a refused certificate is in use")
	}
}

// handshake connects a client to a server and gives what the server saw.
func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	conn := tls.Server(near, server)
	done := make(chan error, 1)
	go func() {
		err := conn.HandshakeContext(t.Context())
		near.SetDeadline(time.Now()) // a client that still waits gets an error
		done <- err
	}()
	clientErr := tls.Client(far, client).HandshakeContext(t.Context())
	far.Close()
	serverErr := <-done
	if clientErr != nil {
		return tls.ConnectionState{}, clientErr
	}
	return conn.ConnectionState(), serverErr
}

func TestHandshake(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	from, to := time.Now().Add(-time.Minute), time.Now().Add(day)
	server := joined(t, t.TempDir(), a, manager, from, to)
	client := joined(t, t.TempDir(), a, agent, from, to)
	stranger := joined(t, t.TempDir(), other, agent, from, to)
	serverConfig := mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return server.Certificate() })
	wrongServer := mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return client.Certificate() })

	for _, tt := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		want   error // of the handshake, by type
		verify bool  // Verify succeeds
	}{
		{"agent to manager", serverConfig, mtls.ClientConfig(client, nil, manager.DNSName()), nil, true},
		{"another server name", serverConfig, mtls.ClientConfig(client, nil, agent.DNSName()), x509.HostnameError{}, false},
		{"a server of another CA", serverConfig, mtls.ClientConfig(stranger, nil, manager.DNSName()), x509.UnknownAuthorityError{}, false},
		{"a client of another CA", serverConfig, mtls.ClientConfig(stranger, client.Roots, manager.DNSName()), nil, false},
		{"an agent as server", wrongServer, mtls.ClientConfig(client, nil, agent.DNSName()), x509.CertificateInvalidError{}, false},
		{"roots that give nil", serverConfig, mtls.ClientConfig(client, func() *x509.CertPool { return nil }, manager.DNSName()), x509.UnknownAuthorityError{}, false},
		{"no certificate", serverConfig, mtls.ClientConfig(nil, client.Roots, manager.DNSName()), nil, false},
		{"neither store nor roots", serverConfig, mtls.ClientConfig(nil, nil, manager.DNSName()), x509.UnknownAuthorityError{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cs, err := handshake(t, tt.server, tt.client)
			if tt.want != nil {
				var (
					name    x509.HostnameError
					unknown x509.UnknownAuthorityError
					invalid x509.CertificateInvalidError
				)
				ok := false
				switch tt.want.(type) {
				case x509.HostnameError:
					ok = errors.As(err, &name)
				case x509.UnknownAuthorityError:
					ok = errors.As(err, &unknown)
				case x509.CertificateInvalidError:
					ok = errors.As(err, &invalid)
				}
				if !ok {
					t.Fatalf("error %v (%T), want a %T", err, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if cs.NegotiatedProtocol != "http/1.1" || cs.Version < tls.VersionTLS12 {
				t.Errorf("protocol %q, version %x", cs.NegotiatedProtocol, cs.Version)
			}
			peer, err := mtls.Verify(&cs, server.Roots(), time.Now())
			if (err == nil) != tt.verify {
				t.Fatalf("Verify: %v, want success: %t", err, tt.verify)
			}
			if tt.verify && (peer.Identity != agent || peer.Expired || peer.Serial != certs.Serial(client.Leaf())) {
				t.Errorf("peer %+v", peer)
			}
		})
	}
	for _, roots := range []func() *x509.CertPool{nil, func() *x509.CertPool { return nil }} {
		if mtls.ClientConfig(nil, roots, "x").RootCAs == nil {
			t.Error("without roots, the CAs of the system are trusted")
		}
	}
	if _, err := handshake(t, serverConfig, mtls.ClientConfig(open(t, t.TempDir()), client.Roots, manager.DNSName())); !errors.Is(err, mtls.ErrNoCertificate) {
		t.Errorf("a node that has not joined: %v", err)
	}
}

// Configurations that exist already use what is saved, in both directions.
func TestLiveSwap(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	from, to := time.Now().Add(-time.Minute), time.Now().Add(day)
	server := joined(t, t.TempDir(), a, manager, from, to)
	client := joined(t, t.TempDir(), a, agent, from, to)
	serverConfig := mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return server.Certificate() })
	clientConfig := mtls.ClientConfig(client, nil, manager.DNSName())
	both := slices.Concat(a.CertificatePEM(), b.CertificatePEM())
	for _, s := range []struct {
		store *mtls.Store
		id    certs.Identity
	}{{server, manager}, {client, agent}} {
		key, err := s.store.NextKey()
		if err != nil {
			t.Fatal(err)
		}
		issuer := a
		if s.id == agent { // CA rotation: only the client has a certificate of the new one yet
			issuer = b
		}
		if err := s.store.Save(issue(t, issuer, s.id, key, from, to).PEM, both); err != nil {
			t.Fatal(err)
		}
		if now, err := s.store.Key(); err != nil || now != key {
			t.Errorf("the key of the renewal is not in use, %v", err)
		}
	}
	cs, err := handshake(t, serverConfig, clientConfig)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := mtls.Verify(&cs, server.Roots(), time.Now())
	if err != nil || peer.Serial != certs.Serial(client.Leaf()) {
		t.Errorf("peer %+v, %v", peer, err)
	}
}
