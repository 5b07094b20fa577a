package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
	"conpaas/client/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const serverName = "director.example.org"

// world is a deployment's authority and the log of what runs in a test.
type world struct {
	t         *testing.T
	authority *ca.Authority
	log       *logBook
}

func newWorld(t *testing.T) *world {
	t.Helper()
	authority, err := ca.New("test", time.Now().Add(-time.Hour), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, authority: authority, log: &logBook{}}
}

func (w *world) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(w.authority.Certificate())
	return pool
}

// certificate issues a certificate with the right to be whatever its role may be.
func (w *world) certificate(id certs.Identity) *tls.Certificate {
	w.t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		w.t.Fatal(err)
	}
	server := id.Role == certs.RoleDirector
	request := ca.Request{
		Identity: id, PublicKey: &key.PublicKey, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Server: server, Client: true,
	}
	if server {
		request.DNSNames = []string{serverName}
		request.IPs = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	issued, err := w.authority.Issue(request)
	if err != nil {
		w.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{issued.Certificate.Raw}, PrivateKey: key}
}

// serve runs Serve on a loopback port until the test ends and gives its address.
func (w *world) serve(h http.Handler) string {
	w.t.Helper()
	return w.serveUntil(w.t.Context(), h)
}

func (w *world) serveUntil(ctx context.Context, h http.Handler) string {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	certificate := w.certificate(certs.Identity{Deployment: "test", Role: certs.RoleDirector})
	config := mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil })
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, w.log.logger(), []net.Listener{listener}, config, h, w.authority.CertificatePEM)
	}()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Serve ended with %v", err)
		}
	})
	return listener.Addr().String()
}

// tlsConfig is a client's, with a certificate if there is one.
func (w *world) tlsConfig(certificate *tls.Certificate) *tls.Config {
	config := &tls.Config{RootCAs: w.roots(), ServerName: serverName}
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	return config
}

func (w *world) client(address string) *Client {
	transport := NewTransport(w.tlsConfig(nil), address)
	w.t.Cleanup(transport.CloseIdleConnections)
	return &Client{HTTP: &http.Client{Transport: transport}, Base: "https://" + serverName}
}

// logBook keeps the lines of a logger for a test to look at.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// anyone is a rule that lets everybody through.
var anyone = Rule{Name: "anyone", Allow: func(context.Context, Caller, func(string) string) error { return nil }}

func nobodyKnown(*http.Request) (Caller, error) { return Caller{}, nil }

func (w *world) api(authenticate func(*http.Request) (Caller, error)) *API {
	return NewAPI(Options{Title: "Test", Version: "1", Log: w.log.logger(), Authenticate: authenticate})
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// hello makes what a child says of itself.
func hello(bootID string) api.Hello { return api.Hello{Node: "n1", BootID: bootID, Version: "1"} }
