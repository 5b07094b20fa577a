package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"conpaas/certs"
	"conpaas/client/api"
)

// parent is a Hub behind a real server, with a record of its callbacks.
type parent struct {
	*world
	hub     *Hub
	address string

	mu     sync.Mutex
	events []string
}

func (p *parent) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, fmt.Sprintf(format, args...))
}

func (p *parent) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}

func newParent(t *testing.T) *parent {
	t.Helper()
	p := &parent{world: newWorld(t)}
	p.hub = NewHub(HubOptions{
		Log:       p.log.logger(),
		Connected: func(child string, h api.Hello, s *Session) { p.note("%s up %s", child, h.BootID) },
		Disconnected: func(child string, s *Session, err error) {
			why := "broke"
			for name, known := range map[string]error{"replaced": errReplaced, "closed": errClosed, "quarantined": errQuarantined, "distrusted": errDistrusted} {
				if errors.Is(err, known) {
					why = name
				}
			}
			p.note("%s down %s: %s", child, s.Hello().BootID, why)
		},
		Clone: func(child string, h api.Hello) { p.note("%s cloned by %s", child, h.BootID) },
	})
	a := p.api(func(r *http.Request) (Caller, error) {
		if len(r.TLS.PeerCertificates) == 0 {
			return Caller{}, nil
		}
		id, err := certs.FromCertificate(r.TLS.PeerCertificates[0])
		return Caller{Kind: KindAgent, Identity: id}, err
	})
	agents := Rule{Name: "agent", Allow: func(_ context.Context, c Caller, _ func(string) string) error {
		if c.Kind != KindAgent {
			return api.Errorf(api.CodeUnauthenticated, "an agent's certificate is needed")
		}
		return nil
	}}
	a.Raw(Route{Method: "GET", Path: "/v1/connect", ID: "connect"}, agents, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		return p.hub.Accept(w, r, CallerFrom(r.Context()).Identity.Node)
	})
	p.address = p.serve(a.Handler())
	t.Cleanup(p.hub.Close)
	return p
}

// child is one run of Connect.
type child struct {
	up    chan struct{}
	ended chan error
	stop  context.CancelFunc
}

func (p *parent) connection(node, bootID string, h http.Handler) Connection {
	id := certs.Identity{Deployment: "test", Role: certs.RoleAgent, User: "7", Application: "3", Node: node}
	return Connection{
		Client: p.tlsConfig(p.certificate(id)), Address: p.address, ServerName: serverName,
		Hello: hello(bootID), Handler: h, Log: p.log.logger(),
	}
}

// connect starts Connect for a child and waits until it is up, or has ended.
func (p *parent) connect(node, bootID string, h http.Handler) *child {
	p.t.Helper()
	return p.run(p.connection(node, bootID, h))
}

func (p *parent) run(c Connection) *child {
	ctx, cancel := context.WithCancel(context.Background())
	run := &child{up: make(chan struct{}), ended: make(chan error, 1), stop: cancel}
	c.OnUp = func() { close(run.up) }
	before := p.ups()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run.ended <- Connect(ctx, c)
	}()
	p.t.Cleanup(func() { cancel(); <-done })
	select {
	case <-run.up:
		// The child hears it a moment before the hub has the session.
		eventually(p.t, "the parent knows the child", func() bool { return p.ups() > before })
	case <-done:
	}
	return run
}

// ups counts the children that have connected so far.
func (p *parent) ups() int {
	return strings.Count(strings.Join(p.seen(), "\n"), " up ")
}

// childAPI is what a child serves in these tests.
func childAPI(w *world, gone chan<- string) http.Handler {
	a := w.api(func(*http.Request) (Caller, error) { return Caller{Kind: KindManager}, nil })
	Register(a, Route{Method: "POST", Path: "/v1/echo", ID: "echo"}, anyone,
		func(ctx context.Context, in *echoInput[thing]) (*thingOutput, error) {
			in.Body.Name += " by " + string(CallerFrom(ctx).Kind) + " " + RequestID(ctx)
			return &thingOutput{Body: in.Body}, nil
		})
	a.Raw(Route{Method: "PUT", Path: "/v1/blob", ID: "blob", MaxBody: 1 << 30, Body: Bytes{}}, anyone, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		_, err := io.Copy(w, r.Body)
		return err
	})
	a.Raw(Route{Method: "GET", Path: "/v1/wait", ID: "wait"}, anyone, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		defer func() { gone <- "gone" }()
		err := NewLineWriter(w).Write(line{Text: "waiting"})
		<-r.Context().Done()
		return err
	})
	return a.Handler()
}

func TestCallsThroughTunnel(t *testing.T) {
	p := newParent(t)
	p.connect("n1", "A", childAPI(p.world, nil))
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			name := fmt.Sprint("call", i)
			got, err := Call[thing](WithRequestID(t.Context(), name), p.hub.Client("n1"), "POST", "/v1/echo", thing{Name: name})
			if want := name + " by manager " + name; err != nil || got.Name != want {
				t.Errorf("got %+v, %v; want %s", got, err, want)
			}
		})
	}
	calls.Wait()
	if !p.hub.Connected("n1") || p.hub.Connected("n2") || !slices.Equal(p.hub.Children(), []string{"n1"}) {
		t.Errorf("children are %v", p.hub.Children())
	}
	_, err := Call[thing](t.Context(), p.hub.Client("n2"), "POST", "/v1/echo", thing{})
	if api.CodeFrom(err) != api.CodeUnavailable || !strings.Contains(err.Error(), "n2 is not connected") {
		t.Errorf("a call to an absent child gives %v", err)
	}
}

// Both windows are 4 MiB: so much goes into a stream that nobody reads, and more comes through whole.
func TestLargeBodiesThroughTunnel(t *testing.T) {
	p := newParent(t)
	p.connect("n1", "A", childAPI(p.world, nil))
	blob := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	answer, err := Stream(t.Context(), p.hub.Client("n1"), "PUT", "/v1/blob", bytes.NewReader(blob))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	got, err := io.ReadAll(answer)
	if err != nil || !bytes.Equal(got, blob) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(blob), err)
	}
}

func TestWindows(t *testing.T) {
	const window = 4 << 20
	p := newParent(t)
	read := make(chan struct{})
	reached := make(chan struct{})
	p.connect("n1", "A", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" { // the child sends a whole window to a parent that does not read
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			w.Write(make([]byte, window-64<<10))
			close(reached)
			return
		}
		<-read // the parent sends a whole window to a child that does not read
		io.Copy(io.Discard, r.Body)
	}))
	answer, err := Stream(t.Context(), p.hub.Client("n1"), "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	answer.Close()
	sent := &counting{size: window - 64<<10, whole: read}
	if _, err := Call[struct{}](t.Context(), p.hub.Client("n1"), "PUT", "/", sent); err != nil {
		t.Error(err)
	}
}

// counting is a body that tells when all but its last byte has been taken.
type counting struct {
	size  int
	whole chan struct{}
}

func (c *counting) Read(b []byte) (int, error) {
	switch c.size {
	case 0:
		return 0, io.EOF
	case 1:
		close(c.whole)
	}
	n := min(len(b), max(c.size-1, 1))
	c.size -= n
	return n, nil
}

func TestParentCancels(t *testing.T) {
	p := newParent(t)
	gone := make(chan string, 1)
	p.connect("n1", "A", childAPI(p.world, gone))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body, err := Stream(ctx, p.hub.Client("n1"), "GET", "/v1/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	for l, err := range Lines[line](body) {
		if err != nil {
			break
		}
		if l.Text == "waiting" {
			cancel()
		}
	}
	<-gone
}

// Of a call whose body is not read the server does not see that its caller has gone.
func TestCallsEndWithTheirConnection(t *testing.T) {
	p := newParent(t)
	entered, gone := make(chan struct{}), make(chan struct{})
	run := p.connect("n1", "A", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(gone)
	}))
	called := make(chan error, 1)
	go func() {
		_, err := Call[struct{}](t.Context(), p.hub.Client("n1"), "PUT", "/", thing{})
		called <- err
	}()
	<-entered
	p.hub.Disconnect("n1")
	<-gone
	<-run.ended
	if err := <-called; api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("the call ended with %v", err)
	}
	if log := p.log.String(); strings.Contains(log, "calls go on") {
		t.Error("the call did not end with its connection")
	}
}

func TestReconnectAndCallbacks(t *testing.T) {
	p := newParent(t)
	gone := make(chan string, 1)
	first := p.connect("n1", "A", childAPI(p.world, gone))
	body, err := Stream(t.Context(), p.hub.Client("n1"), "GET", "/v1/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	first.stop()
	if err := <-first.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Connect ended with %v", err)
	}
	collect(Lines[line](body))
	<-gone // what the child was doing has ended as well
	eventually(t, "the child is gone", func() bool { return !p.hub.Connected("n1") })
	second := p.connect("n1", "A", childAPI(p.world, nil))
	if _, err := Call[thing](t.Context(), p.hub.Client("n1"), "POST", "/v1/echo", thing{Name: "x"}); err != nil {
		t.Errorf("after the reconnect: %v", err)
	}
	p.hub.Disconnect("n1")
	if err := <-second.ended; err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("Connect ended with %v", err)
	}
	want := []string{"n1 up A", "n1 down A: broke", "n1 up A", "n1 down A: closed"}
	eventually(t, fmt.Sprintf("the callbacks are %q", want), func() bool { return slices.Equal(p.seen(), want) })
}

func TestNewestConnectionWins(t *testing.T) {
	p := newParent(t)
	old := p.connect("n1", "A", http.NotFoundHandler())
	p.connect("n1", "A", childAPI(p.world, nil))
	if err := <-old.ended; err == nil {
		t.Error("the old connection goes on")
	}
	if _, err := Call[thing](t.Context(), p.hub.Client("n1"), "POST", "/v1/echo", thing{Name: "x"}); err != nil {
		t.Errorf("the call did not go to the newest connection: %v", err)
	}
	want := []string{"n1 up A", "n1 down A: replaced", "n1 up A"}
	eventually(t, fmt.Sprintf("the callbacks are %q", want), func() bool { return slices.Equal(p.seen(), want) })
}

// A certificate that is not trusted any more ends the connection that was opened with it, and no other.
func TestDistrustEndsConnections(t *testing.T) {
	p := newParent(t)
	first := p.connect("n1", "A", http.NotFoundHandler())
	p.connect("n2", "B", childAPI(p.world, nil))
	p.hub.Distrust(func(c *x509.Certificate) bool {
		id, err := certs.FromCertificate(c)
		return err == nil && id.Node == "n2"
	})
	if err := <-first.ended; err == nil {
		t.Error("the connection goes on")
	}
	if _, err := Call[thing](t.Context(), p.hub.Client("n2"), "POST", "/v1/echo", thing{Name: "x"}); err != nil {
		t.Errorf("the other connection: %v", err)
	}
	want := []string{"n1 up A", "n2 up B", "n1 down A: distrusted"}
	eventually(t, fmt.Sprintf("the callbacks are %q", want), func() bool { return slices.Equal(p.seen(), want) })
}

func TestClonesAreQuarantined(t *testing.T) {
	p := newParent(t)
	handler := childAPI(p.world, nil)
	first := p.connect("n1", "A", handler)
	second := p.connect("n1", "B", handler)
	<-first.ended
	if !p.hub.Connected("n1") {
		t.Fatal("a reboot is refused")
	}
	for _, id := range []string{"A", "B", "C"} {
		refused := p.connect("n1", id, handler)
		if err := <-refused.ended; api.CodeFrom(err) != api.CodeConflict {
			t.Errorf("boot %s after A, B, A: %v", id, err)
		}
	}
	<-second.ended
	want := []string{"n1 up A", "n1 down A: replaced", "n1 up B", "n1 cloned by A", "n1 down B: quarantined"}
	eventually(t, fmt.Sprintf("the callbacks are %q", want), func() bool {
		got := p.seen()
		slices.Sort(got)
		slices.Sort(want)
		return slices.Equal(got, want)
	})
	p.connect("n2", "A", handler)
	if !slices.Equal(p.hub.Children(), []string{"n2"}) {
		t.Errorf("the children are %v", p.hub.Children())
	}
}

// The socket of the child is closed under it, as when its process is killed.
func TestDeadPeer(t *testing.T) {
	p := newParent(t)
	conn, err := p.connection("n1", "A", nil).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is up", func() bool { return slices.Equal(p.seen(), []string{"n1 up A"}) })
	conn.(*tls.Conn).NetConn().Close()
	eventually(t, "the parent knows", func() bool { return slices.Contains(p.seen(), "n1 down A: broke") && !p.hub.Connected("n1") })
}

func TestParentDies(t *testing.T) {
	p := newParent(t)
	run := p.connect("n1", "A", childAPI(p.world, nil))
	p.hub.Close()
	if got := p.seen(); !slices.Contains(got, "n1 down A: closed") {
		t.Errorf("Close has not waited for the callbacks: %q", got)
	}
	if err := <-run.ended; err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("Connect ended with %v", err)
	}
	again := p.connect("n1", "A", childAPI(p.world, nil))
	if err := <-again.ended; api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("a closed hub answers %v", err)
	}
}
