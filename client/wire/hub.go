package wire

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"conpaas/client/api"
)

// Why a parent ends a session.
var (
	errClosed      = errors.New("the parent has closed the connection")
	errReplaced    = errors.New("the child has made a newer connection")
	errQuarantined = errors.New("two machines use the identity of this child")
	errDistrusted  = errors.New("it was opened with a certificate that is not trusted any more")
)

const (
	upgradeName = "conpaas" // of the protocol in the Upgrade header
	helloMax    = 4 << 10   // bytes of the hello header
)

// HubOptions are what a Hub needs. The callbacks of one child never overlap: Connected, then Disconnected of the same
// session, then Connected of the next. They must return soon, since the child's next connection waits for them.
type HubOptions struct {
	Log          *slog.Logger
	Connected    func(child string, h api.Hello, s *Session)
	Disconnected func(child string, s *Session, err error)
	Clone        func(child string, h api.Hello) // two boot ids take turns: the child is in quarantine now
}

// Hub is the parent's end of the tunnel: it keeps the connections that children have made, and calls go down through them.
type Hub struct {
	options HubOptions
	http    *http.Client
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[string]*Session
	boots    bootBook
}

// NewHub makes a Hub without children. Callbacks may be nil; without a Log it panics.
func NewHub(o HubOptions) *Hub {
	if o.Log == nil {
		panic("wire.NewHub: Log is needed")
	}
	h := &Hub{options: o, sessions: map[string]*Session{}, boots: bootBook{}}
	h.http = &http.Client{
		// One serves all children. A stream is so cheap that none is kept.
		Transport:     streams{h.open},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h
}

// Accept takes over the connection of a request for GET /v1/connect and keeps it as that of child, whom the caller has
// authenticated; child is made of letters, digits, '-' and '.'. The newest connection of a child wins. It returns when the
// connection is taken over, or with an *api.Error: CodeInvalid for a request that is no upgrade, CodeConflict while the
// child is in quarantine because two boot ids have taken turns, CodeUnavailable after Close.
func (h *Hub) Accept(w http.ResponseWriter, r *http.Request, child string) error {
	if !isRequestID(child) || strings.Contains(child, "_") {
		return fmt.Errorf("accept child %q: a name has letters, digits, '-' and '.' only", child)
	}
	hello, err := readHello(r)
	if err != nil {
		return err
	}
	if err := h.admit(child, hello); err != nil {
		return err
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("accept child %s: %w", child, err)
	}
	s := &Session{child: child, hello: hello, ended: make(chan struct{})}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		s.certificate = r.TLS.PeerCertificates[0]
	}
	if err := h.start(conn, s, putBackBuffer(conn, buffered.Reader)); err != nil {
		conn.Close()
		return fmt.Errorf("accept child %s: %w", child, err)
	}
	return nil
}

// readHello checks that a request asks for the tunnel and reads what the child says of itself.
func readHello(r *http.Request) (api.Hello, error) {
	var hello api.Hello
	if err := CheckUpgrade(r, upgradeName); err != nil {
		return hello, err
	}
	text := r.Header.Get(api.HeaderHello)
	if len(text) > helloMax {
		return hello, api.InField(api.HeaderHello, "%d bytes, at most %d are allowed", len(text), helloMax)
	}
	if err := json.Unmarshal([]byte(text), &hello); err != nil {
		return hello, api.InField(api.HeaderHello, "it is not JSON: %v", err)
	}
	if hello.BootID == "" {
		return hello, api.InField(api.HeaderHello, "boot_id is missing")
	}
	return hello, nil
}

// admit notes the boot of a child that connects and refuses clones.
func (h *Hub) admit(child string, hello api.Hello) error {
	h.mu.Lock()
	current := h.sessions[child]
	closed := h.closed
	verdict := h.boots.admit(time.Now(), child, hello.BootID, current != nil)
	h.mu.Unlock()
	if closed {
		return api.Errorf(api.CodeUnavailable, "the component is shutting down")
	}
	if verdict == bootAdmitted {
		return nil
	}
	if current != nil {
		current.fail(errQuarantined)
	}
	if verdict == bootCloned && h.options.Clone != nil {
		h.options.Clone(child, hello)
	}
	return api.Errorf(api.CodeConflict, "%s is refused for %s: two machines use its identity in turns; remove the one that is a copy", child, quarantine)
}

// start answers the upgrade and runs the session in a goroutine that Close waits for.
func (h *Hub) start(conn net.Conn, s *Session, rest net.Conn) error {
	if err := switchTo(conn, upgradeName); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errClosed
	}
	mux, err := yamux.Client(rest, muxConfig(h.options.Log))
	if err != nil {
		return err
	}
	s.mux = mux
	old := h.sessions[s.child]
	h.sessions[s.child] = s
	h.running.Go(func() { h.keep(s, old) })
	return nil
}

// keep tells the component of a session's life, after that of the one it replaces.
func (h *Hub) keep(s, old *Session) {
	defer close(s.ended)
	if old != nil {
		old.fail(errReplaced)
		<-old.ended
	}
	h.options.Log.Debug("child connected", "child", s.child, "boot", s.hello.BootID)
	if h.options.Connected != nil {
		h.options.Connected(s.child, s.hello, s)
	}
	err := s.wait()
	h.mu.Lock()
	if h.sessions[s.child] == s {
		delete(h.sessions, s.child)
	}
	h.boots.left(time.Now(), s.child, s.hello.BootID)
	h.mu.Unlock()
	h.options.Log.Debug("child disconnected", "child", s.child, "boot", s.hello.BootID, "err", err)
	if h.options.Disconnected != nil {
		h.options.Disconnected(s.child, s, err)
	}
}

// open opens a stream to a child.
func (h *Hub) open(child string) (net.Conn, error) {
	h.mu.Lock()
	s := h.sessions[child]
	h.mu.Unlock()
	if s == nil {
		return nil, api.Errorf(api.CodeUnavailable, "%s is not connected", child)
	}
	return s.mux.Open()
}

// Client calls a child through whatever connection it has at the time of each call.
func (h *Hub) Client(child string) *Client { return &Client{HTTP: h.http, Base: "http://" + child} }

// Connected tells whether a child has a connection now.
func (h *Hub) Connected(child string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[child] != nil
}

// Children lists the children that have a connection now, in order.
func (h *Hub) Children() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.sessions))
}

// Disconnect ends the connection of a child, if it has one. The child may dial again: whoever must not is refused before
// Accept.
func (h *Hub) Disconnect(child string) {
	h.mu.Lock()
	s := h.sessions[child]
	h.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// Distrust ends the connections that were opened with a certificate for which trusted is false. Who has a better one by
// now dials again with that.
func (h *Hub) Distrust(trusted func(*x509.Certificate) bool) {
	h.mu.Lock()
	open := slices.Collect(maps.Values(h.sessions))
	h.mu.Unlock()
	for _, s := range open {
		if s.certificate != nil && !trusted(s.certificate) {
			s.fail(errDistrusted)
		}
	}
}

// Close ends all connections and waits for their callbacks. Connections that come later are refused.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	open := slices.Collect(maps.Values(h.sessions))
	h.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	h.running.Wait()
}
