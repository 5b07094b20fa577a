package join

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
	"conpaas/client/api"
)

// fakeDirector answers the bootstrap API as the director does.
type fakeDirector struct {
	*httptest.Server
	t         *testing.T
	authority *ca.Authority

	mu       sync.Mutex
	first    []byte         // the public key that used the token
	requests int            // calls of /v1/join
	busy     int            // calls of /v1/join to answer 503
	node     certs.Identity // what it certifies
	refuse   *api.Error     // the answer to everything, if set
	parent   api.Parent
}

// newDirectorServer prepares a director at host name paas.example.org and an address of this machine; it answers after Start.
func newDirectorServer(t *testing.T) *fakeDirector {
	t.Helper()
	authority, err := ca.New("conpaas", time.Now().Add(-time.Hour), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	own, err := authority.Issue(ca.Request{
		Identity: certs.Identity{Deployment: "conpaas", Role: certs.RoleDirector}, PublicKey: &key.PublicKey, DNSNames: []string{"paas.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), Server: true, Client: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	pair := &tls.Certificate{Certificate: [][]byte{own.Certificate.Raw}, PrivateKey: key}
	f := &fakeDirector{t: t, authority: authority, node: certs.Identity{Deployment: "conpaas", Role: certs.RoleAgent, User: "7", Application: "3", Node: "n12"}}
	f.parent = api.Parent{Address: "10.1.2.3:5556", ServerName: "n11.a3.conpaas.internal", Incarnation: 4}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/join", f.join)
	mux.HandleFunc("POST /v1/renew", f.renew)
	mux.HandleFunc("GET /v1/parent", func(w http.ResponseWriter, r *http.Request) {
		f.member(w, r, func() (any, error) { return f.parent, nil })
	})
	f.Server = httptest.NewUnstartedServer(mux)
	f.TLS = mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair, nil })
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeDirector) join(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	var in api.JoinRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(w, nil, api.Errorf(api.CodeInvalid, "%v", err))
		return
	}
	switch {
	case f.busy > 0:
		f.busy--
		answer(w, nil, api.Errorf(api.CodeUnavailable, "starting"))
		return
	case f.refuse != nil:
		answer(w, nil, f.refuse)
		return
	case in.Token != "secret" || in.Node != "n12":
		answer(w, nil, api.Errorf(api.CodeForbidden, "the token of node %s is wrong", in.Node))
		return
	}
	key, err := certs.ParseRequest([]byte(in.CSR))
	if err != nil {
		answer(w, nil, api.InField("csr", "%v", err))
		return
	}
	public, err := key.Bytes()
	if err != nil || f.first != nil && !bytes.Equal(f.first, public) {
		answer(w, nil, api.Errorf(api.CodeConflict, "the token of node n12 has been used by another machine"))
		return
	}
	f.first = public
	pem, err := f.issue(in.CSR)
	answer(w, api.JoinAnswer{
		Certificate: pem, CA: string(f.authority.CertificatePEM()), Application: 3, Service: 1, Parent: f.parent,
		Network: api.Network{Prefix: netip.MustParsePrefix("172.16.0.0/12"), ServiceBits: 5, Port: 51820, Active: true}, Overlay: netip.MustParseAddr("172.16.0.1"),
	}, err)
}

func (f *fakeDirector) issue(csr string) (string, error) {
	key, err := certs.ParseRequest([]byte(csr))
	if err != nil {
		return "", err
	}
	out, err := f.authority.Issue(ca.Request{Identity: f.node, PublicKey: key, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), Client: true})
	return string(out.PEM), err
}

// member answers only to the node's own certificate.
func (f *fakeDirector) member(w http.ResponseWriter, r *http.Request, reply func() (any, error)) {
	pool := x509.NewCertPool()
	pool.AddCert(f.authority.Certificate())
	peer, err := mtls.Verify(r.TLS, pool, time.Now())
	if err != nil || peer.Identity != f.node {
		answer(w, nil, api.Errorf(api.CodeUnauthenticated, "who are you: %v", err))
		return
	}
	out, err := reply()
	answer(w, out, err)
}

func (f *fakeDirector) renew(w http.ResponseWriter, r *http.Request) {
	f.member(w, r, func() (any, error) {
		var in api.RenewRequest
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, err
		}
		pem, err := f.issue(in.CSR)
		return api.RenewAnswer{Certificate: pem, CA: string(f.authority.CertificatePEM())}, err
	})
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		problem, ok := errors.AsType[*api.Error](err)
		if !ok {
			problem = api.Errorf(api.CodeInternal, "%v", err)
		}
		w.WriteHeader(problem.Status)
		v = problem
	}
	json.NewEncoder(w).Encode(v)
}

func (f *fakeDirector) bootstrap() api.Bootstrap {
	return api.Bootstrap{
		Director: "https://paas.example.org:5555", Address: f.Listener.Addr().String(), CA: string(f.authority.CertificatePEM()),
		Deployment: "conpaas", Kind: api.KindAgent, Node: "n12", Token: "secret", Issued: time.Now().Add(-time.Minute), Code: api.CodePin{Version: "1.0"},
	}
}
