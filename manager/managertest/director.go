// Package managertest runs real managers in the test process, between a director's end and agents that the test
// controls: real TLS, real certificates, real connections, no overlay network.
//
// It is for tests only and knows what the parts say to each other, not how the manager does its work.
package managertest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/manager"
	"conpaas/client/wire"
	"conpaas/manager/service"
)

const (
	// Deployment is the name of the installation.
	Deployment = "test"
	// Application is the application of managers for which none is said.
	Application api.ApplicationID = 3

	host     = "director.test"
	patience = 60 * time.Second // how long the helpers wait for what must happen
)

// Director is a director's end: it lets machines join and managers connect, and calls managers as a test wants.
type Director struct {
	Halves map[api.ServiceType]service.Half // of the managers that are started later; nil: those of the program

	t         testing.TB
	log       *slog.Logger
	authority *ca.Authority
	address   netip.AddrPort
	hub       *wire.Hub

	mu       sync.Mutex
	changed  chan struct{} // closed at every change of what follows
	machines map[api.NodeID]machine
	count    byte
}

// machine is what the director knows of a machine that may join.
type machine struct {
	kind        string
	application api.ApplicationID
	overlay     netip.Addr
}

// NewDirector starts a director's end, which ends with the test.
func NewDirector(t testing.TB) *Director {
	t.Helper()
	now := time.Now()
	authority, err := ca.New(Deployment, now.Add(-time.Hour), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	d := &Director{
		t: t, log: slog.New(slog.DiscardHandler), authority: authority, machines: map[api.NodeID]machine{}, changed: make(chan struct{}),
	}
	d.hub = wire.NewHub(wire.HubOptions{
		Log:          d.log,
		Connected:    func(string, api.Hello, *wire.Session) { d.change() },
		Disconnected: func(string, *wire.Session, error) { d.change() },
	})
	cert := d.ownCertificate()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.address = listener.Addr().(*net.TCPAddr).AddrPort()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	config := mtls.ServerConfig(cert)
	go func() {
		ended <- wire.Serve(ctx, d.log, []net.Listener{listener}, config, d.routes(), authority.CertificatePEM)
	}()
	t.Cleanup(func() {
		d.hub.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the director's end: %v", err)
		}
	})
	return d
}

func (d *Director) change() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.changed)
	d.changed = make(chan struct{})
}

// routes are what machines call.
func (d *Director) routes() http.Handler {
	anybody := wire.Rule{Name: "anybody", Allow: func(context.Context, wire.Caller, func(string) string) error { return nil }}
	a := wire.NewAPI(wire.Options{
		Title: "director", Version: "test", Log: d.log,
		Authenticate: func(r *http.Request) (wire.Caller, error) {
			pool, err := certs.Pool(d.authority.CertificatePEM())
			if err != nil {
				return wire.Caller{}, err
			}
			peer, err := mtls.Verify(r.TLS, pool, time.Now())
			if err != nil {
				return wire.Caller{}, nil
			}
			return wire.Caller{Kind: wire.KindManager, Identity: peer.Identity}, nil
		},
	})
	a.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/join", ID: "join", Body: api.JoinRequest{}}, anybody, d.join)
	a.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/connect", ID: "connect"}, anybody,
		func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			id := wire.CallerFrom(r.Context()).Identity
			if id.Role != certs.RoleManager {
				return api.Errorf(api.CodeForbidden, "%s is no manager", id)
			}
			return d.hub.Accept(w, r, id.Node)
		})
	return a.Handler()
}

func (d *Director) join(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var in api.JoinRequest
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	d.mu.Lock()
	m, ok := d.machines[in.Node]
	d.mu.Unlock()
	if !ok {
		return api.Errorf(api.CodeForbidden, "node %s is unknown", in.Node)
	}
	certificate, err := d.Certificate(certs.Identity{
		Deployment: Deployment, Role: certs.Role(m.kind), User: "1", Application: m.application.String(), Node: string(in.Node),
	}, []byte(in.CSR), time.Hour)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(api.JoinAnswer{
		Certificate: string(certificate), CA: string(d.authority.CertificatePEM()), Application: m.application, Network: Network(), Overlay: m.overlay,
		Parent: api.Parent{Address: d.address.String(), ServerName: host},
	})
}

// Certificate signs a request; the certificate ends after life, which may be negative.
func (d *Director) Certificate(id certs.Identity, csr []byte, life time.Duration) ([]byte, error) {
	key, err := ca.ParseCSR(csr)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	issued, err := d.authority.Issue(ca.Request{
		Identity: id, PublicKey: key, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life), Client: true, Server: id.Role == certs.RoleManager,
	})
	return issued.PEM, err
}

// Network is that of every application.
func Network() api.Network {
	return api.Network{Prefix: netip.MustParsePrefix("10.64.0.0/12"), ServiceBits: 5, Port: 51820}
}

// Client calls the manager that runs on a node, whenever it is connected.
func (d *Director) Client(node api.NodeID) *manager.Client {
	return manager.New(d.hub.Client(string(node)))
}

// Wire is Client for what no well-behaved director sends.
func (d *Director) Wire(node api.NodeID) *wire.Client { return d.hub.Client(string(node)) }

// Await waits until something holds, looking again whenever something has changed, and at least now and then. It is
// for the test's own goroutine.
func (d *Director) Await(what string, holds func() bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !d.await(ctx, holds) {
		d.t.Fatalf("this did not happen within %s: %s", patience, what)
	}
}

// await is Await until ctx ends.
func (d *Director) await(ctx context.Context, holds func() bool) bool {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// expect lets a machine join, and gives the root of its file system with the bootstrap data in it.
func (d *Director) expect(node api.NodeID, m machine) (root string, listen netip.Addr) {
	d.t.Helper()
	d.mu.Lock()
	machines := maps.Clone(d.machines)
	machines[node] = m
	d.machines = machines
	d.count++
	// The port is this director's alone on the whole host, and so are these addresses.
	listen = netip.AddrFrom4([4]byte{127, byte(d.address.Port() >> 8), byte(d.address.Port()), d.count})
	d.mu.Unlock()
	root = d.t.TempDir()
	b := api.Bootstrap{
		Director: fmt.Sprintf("https://%s:5555", host), Address: d.address.String(), CA: string(d.authority.CertificatePEM()), Deployment: Deployment,
		Kind: m.kind, Node: node, Token: "token", Issued: time.Now().Add(-time.Minute).UTC(), Listen: listen.String(),
		Code: api.CodePin{Version: "test"},
	}
	data, err := json.Marshal(b)
	if err != nil {
		d.t.Fatal(err)
	}
	dir := filepath.Join(root, "var/lib/conpaas")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bootstrap.json"), data, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return root, listen
}
