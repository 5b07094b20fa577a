package wire

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"conpaas/certs"
	"conpaas/client/api"
)

func TestConnectionsThatAreRefused(t *testing.T) {
	p := newParent(t)
	for name, test := range map[string]struct {
		change func(*Connection)
		says   string
	}{
		"no certificate": {func(c *Connection) { c.Client = p.tlsConfig(nil) }, "certificate is needed"},
		"other name":     {func(c *Connection) { c.ServerName = "evil.example" }, "evil.example"},
		"no boot id":     {func(c *Connection) { c.Hello.BootID = "" }, "boot_id"},
		"long hello":     {func(c *Connection) { c.Hello.Version = strings.Repeat("x", helloMax) }, "at most"},
		"other path":     {func(c *Connection) { c.Path = "/v2/connect" }, "nothing at"},
		"nobody there":   {func(c *Connection) { c.Address = "127.0.0.1:1" }, "127.0.0.1:1"},
	} {
		c := p.connection("n1", "A", nil)
		test.change(&c)
		if err := <-p.run(c).ended; err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	id := certs.Identity{Deployment: "test", Role: certs.RoleAgent, User: "7", Application: "3", Node: "n1"}
	transport := NewTransport(p.tlsConfig(p.certificate(id)), p.address)
	defer transport.CloseIdleConnections()
	client := &Client{HTTP: &http.Client{Transport: transport}, Base: "https://" + serverName}
	if _, err := Call[struct{}](t.Context(), client, "GET", "/v1/connect", nil); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("a request that is no upgrade: %v", err)
	}
	if len(p.seen()) != 0 {
		t.Errorf("callbacks for refused connections: %q", p.seen())
	}
}

// A server offers HTTP/2, which cannot be upgraded: a child must not take it, even if its settings would.
func TestChildDoesNotNegotiateHTTP2(t *testing.T) {
	p := newParent(t)
	c := p.connection("n1", "A", childAPI(p.world, nil))
	c.Client.NextProtos = []string{"h2", "http/1.1"}
	run := p.run(c)
	select {
	case <-run.up:
	case err := <-run.ended:
		t.Fatal(err)
	}
	if _, err := Call[thing](t.Context(), p.hub.Client("n1"), "POST", "/v1/echo", thing{Name: "x"}); err != nil {
		t.Error(err)
	}
}

// What the parent sends right behind its answer arrives with it.
func TestBytesBehindTheUpgrade(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
			io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: conpaas\r\n\r\nmore")
		}
	}()
	conn, err := Connection{ServerName: serverName}.upgrade(t.Context(), near)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "more" {
		t.Errorf("got %q, %v", got, err)
	}
}

// timedOut is a connection whose peer has stopped answering: its error calls itself temporary.
type timedOut struct{ net.Conn }

func (timedOut) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
}

func TestListenerEndsForGood(t *testing.T) {
	w := newWorld(t)
	near, far := net.Pipe()
	defer far.Close()
	mux, err := yamuxClientOf(timedOut{near}, w.log)
	if err != nil {
		t.Fatal(err)
	}
	l := &muxListener{Session: mux}
	if _, err := l.Accept(); err != net.ErrClosed || !errors.Is(l.reason, syscall.ETIMEDOUT) {
		t.Errorf("got %v, the reason is %v", err, l.reason)
	}
}

// A child has no right to open streams.
func TestStreamsOfTheChildAreClosed(t *testing.T) {
	p := newParent(t)
	conn, err := p.connection("n1", "A", nil).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mux, err := yamuxClientOf(conn, p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer mux.Close()
	stream, err := mux.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
}
