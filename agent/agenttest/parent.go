package agenttest

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
	"conpaas/client/agent"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// What every Parent is.
const (
	Deployment  = "agenttest"
	Application = api.ApplicationID(3)
	Service     = api.ServiceID(1)
	directorDNS = "director.test"
	managerNode = "n1"
)

// ParentOptions say where a Parent is. The zero one is on loopback, for agents without a network of their own.
type ParentOptions struct {
	Joined   func(api.JoinRequest, netip.Addr)          // called before a join with that overlay address is answered; may be nil
	Director net.Listener                               // nil: on 127.0.0.1
	Manager  func(address string) (net.Listener, error) // address "": any, else the one it had before. nil: on 127.0.0.1
	Peer     *api.Peer                                  // the manager's end of the overlay; nil: there is no overlay
}

// Parent plays the director and the manager of a test's agents.
type Parent struct {
	log       *slog.Logger
	options   ParentOptions
	authority *ca.Authority
	director  *listener
	lookups   atomic.Int64
	shut      atomic.Bool
	direct    atomic.Int64

	mu          sync.Mutex
	changed     chan struct{} // closed and replaced when an agent connects or leaves
	hub         *wire.Hub
	manager     *listener // nil while it is down
	parent      api.Parent
	incarnation uint64
	revision    uint64
	nodes       map[api.NodeID]int // numbers of nodes, for their addresses
}

// listener is one TLS server.
type listener struct {
	server *http.Server
	tcp    net.Listener
}

// NewParent starts a director and a manager. They end with the test.
func NewParent(t testing.TB, o ParentOptions) *Parent {
	t.Helper()
	authority, err := ca.New(Deployment, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if o.Director == nil {
		if o.Director, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	if o.Manager == nil {
		o.Manager = func(address string) (net.Listener, error) { return net.Listen("tcp", cmp.Or(address, "127.0.0.1:0")) }
	}
	p := &Parent{
		log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), options: o, authority: authority,
		changed: make(chan struct{}), nodes: map[api.NodeID]int{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/join", p.join)
	mux.HandleFunc("POST /v1/renew", p.renew)
	mux.HandleFunc("GET /v1/parent", p.findParent)
	mux.HandleFunc("GET "+api.SplicePath, p.splice)
	p.director = p.serve(t, o.Director, certs.Identity{Deployment: Deployment, Role: certs.RoleDirector}, mux)
	t.Cleanup(func() { p.director.close() })
	p.ReplaceManager(t)
	t.Cleanup(p.StopManager)
	return p
}

// ReplaceManager starts the manager, or another one after StopManager: at another address, with a higher incarnation.
func (p *Parent) ReplaceManager(t testing.TB) {
	t.Helper()
	p.startManager(t, "")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.incarnation++
	p.revision = 0
	p.parent = api.Parent{
		Address: p.manager.tcp.Addr().String(), ServerName: certs.NodeDNSName(Deployment, Application.String(), managerNode),
		Peer: p.options.Peer, Incarnation: p.incarnation,
	}
}

// RestartManager starts the same manager again after StopManager.
func (p *Parent) RestartManager(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	address := p.parent.Address
	p.mu.Unlock()
	p.startManager(t, address)
}

func (p *Parent) startManager(t testing.TB, address string) {
	t.Helper()
	hub := wire.NewHub(wire.HubOptions{
		Log:          p.log,
		Connected:    func(string, api.Hello, *wire.Session) { p.notify() },
		Disconnected: func(string, *wire.Session, error) { p.notify() },
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/connect", func(w http.ResponseWriter, r *http.Request) {
		peer, err := p.caller(r)
		if err == nil {
			err = hub.Accept(w, r, peer.Node)
		}
		refuse(w, err)
	})
	tcp, err := p.options.Manager(address)
	if err != nil {
		t.Fatal(err)
	}
	identity := certs.Identity{Deployment: Deployment, Role: certs.RoleManager, User: "1", Application: Application.String(), Node: managerNode}
	manager := p.serve(t, newGate(tcp, &p.shut, &p.direct), identity, mux)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hub, p.manager = hub, manager
}

func (p *Parent) notify() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// StopManager ends the manager and all connections to it. Calling it twice is no error.
func (p *Parent) StopManager() {
	p.mu.Lock()
	manager, hub := p.manager, p.hub
	p.manager = nil
	p.mu.Unlock()
	if manager != nil {
		hub.Close()
		manager.close()
	}
}

// Lookups counts how often agents have asked the director for their parent.
func (p *Parent) Lookups() int { return int(p.lookups.Load()) }

// Bootstrap gives what the user-data of a node's machine holds.
func (p *Parent) Bootstrap(t testing.TB, node api.NodeID) api.Bootstrap {
	t.Helper()
	return api.Bootstrap{
		Director: "https://" + directorDNS + ":5555", Address: p.director.tcp.Addr().String(), CA: string(p.authority.CertificatePEM()),
		Deployment: Deployment, Kind: api.KindAgent, Node: node, Token: "token-of-" + api.Secret(node), Issued: time.Now().Add(-time.Minute).UTC(),
		Overlay: p.active(), Listen: p.Address(node).String(),
	}
}

func (p *Parent) active() bool { return p.options.Peer != nil }

// Address is the machine's own address: 127.x.y.z, of this process and node alone.
func (p *Parent) Address(node api.NodeID) netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(64 + p.number(node)%128), byte(pid >> 8), byte(pid)})
}

// Network is the overlay of the application.
func (p *Parent) Network() api.Network {
	return api.Network{Prefix: netip.MustParsePrefix("172.16.0.0/12"), ServiceBits: 5, Port: 51820, Active: p.active()}
}

// Overlay is the overlay address of a node.
func (p *Parent) Overlay(node api.NodeID) netip.Addr {
	return netip.AddrFrom4([4]byte{172, 16, 0, byte(p.number(node))})
}

func (p *Parent) number(node api.NodeID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.nodes[node]; !known {
		p.nodes[node] = len(p.nodes) + 1
	}
	return p.nodes[node]
}

// Client calls a connected agent.
func (p *Parent) Client(node api.NodeID) *agent.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return agent.New(p.hub.Client(string(node)))
}

// Wire is Client for what no well-behaved manager sends.
func (p *Parent) Wire(node api.NodeID) *wire.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hub.Client(string(node))
}

// Epoch gives the next epoch of the present manager.
func (p *Parent) Epoch() api.Epoch {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revision++
	return api.Epoch{Fence: 1, Incarnation: p.incarnation, Revision: p.revision}
}

// Spec gives a helloworld spec for a node, whose page is at Address and the port.
func (p *Parent) Spec(t testing.TB, node api.NodeID, greeting string, port uint16) api.NodeSpec {
	t.Helper()
	config, err := json.Marshal(api.HelloworldConfig{Greeting: greeting, Node: node, Listen: netip.AddrPortFrom(p.Overlay(node), port)})
	if err != nil {
		t.Fatal(err)
	}
	return api.NodeSpec{
		Node: node, Revision: 1, Service: Service, Type: api.Helloworld, Name: "hello",
		Overlay: api.OverlaySpec{Network: p.Network(), Address: p.Overlay(node), Version: 1, Full: true},
		Roles:   []api.RoleSpec{{Role: api.HelloworldNode, Config: config}},
	}
}

// serve starts a TLS server with a certificate for an identity.
func (p *Parent) serve(t testing.TB, tcp net.Listener, identity certs.Identity, h http.Handler) *listener {
	t.Helper()
	certificate, err := p.certificate(identity)
	if err != nil {
		t.Fatal(err)
	}
	config := mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil })
	config.NextProtos = []string{"http/1.1"}
	l := &listener{tcp: tcp, server: &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug), ReadHeaderTimeout: time.Minute}}
	go func() {
		if err := l.server.Serve(tls.NewListener(tcp, config)); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("the parent of the test has ended", "err", err)
		}
	}()
	return l
}

func (l *listener) close() { l.server.Close() }

func (p *Parent) certificate(identity certs.Identity) (*tls.Certificate, error) {
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	issued, err := p.authority.Issue(ca.Request{
		Identity: identity, PublicKey: key.Public(), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{directorDNS}, Server: true,
	})
	if err != nil {
		return nil, err
	}
	keyPEM, err := certs.KeyPEM(key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(issued.PEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", identity, err)
	}
	return &pair, nil
}
