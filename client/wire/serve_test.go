package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"conpaas/certs"
	"conpaas/certs/mtls"
)

func TestPlainHTTPOnTheTLSPort(t *testing.T) {
	w := newWorld(t)
	address := w.serve(testAPI(w).Handler())
	for _, test := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET /ca.pem HTTP/1.1\r\nHost: x\r\n\r\n", 200, string(w.authority.CertificatePEM())},
		{"GET /ca.pem HTTP/1.0\r\n\r\n", 200, string(w.authority.CertificatePEM())},
		{"POST /ca.pem HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400, "https"},
		{"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n", 400, "https"},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, test.request)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != test.status || !strings.Contains(string(body), test.body) {
			t.Errorf("%q: got %d %q, %v", test.request, answer.StatusCode, body, err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%q: the connection stays open: %v", test.request, err)
		}
	}
	if _, err := Call[struct{}](t.Context(), w.client(address), "POST", "/v1/nothing", nil); err != nil {
		t.Errorf("TLS on the same port: %v", err)
	}
}

func TestServeOffersHTTP2AndAsksForCertificates(t *testing.T) {
	w := newWorld(t)
	seen := make(chan *tls.ConnectionState, 2)
	address := w.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.TLS }))
	agent := certs.Identity{Deployment: "test", Role: certs.RoleAgent, User: "7", Application: "3", Node: "n2"}
	for _, protocol := range []string{"h2", "http/1.1"} {
		config := w.tlsConfig(w.certificate(agent))
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: protocol == "h2"}
		defer transport.CloseIdleConnections()
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+address, nil)
		answer, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		state := <-seen
		id, err := certs.FromCertificate(state.PeerCertificates[0])
		if err != nil || id != agent || protocol == "h2" != (state.NegotiatedProtocol == "h2") {
			t.Errorf("%s: identity %+v, %v, negotiated %q", protocol, id, err, state.NegotiatedProtocol)
		}
	}
}

// At the end streams end at once, a typed request that is under way gets its answer, and Serve returns.
func TestServeEndsGracefully(t *testing.T) {
	w := newWorld(t)
	entered, release, gone := make(chan struct{}, 2), make(chan struct{}), make(chan struct{}, 1)
	a := streamAPI(w, nil, gone)
	Register(a, Route{Method: "GET", Path: "/slow", ID: "slow"}, anyone, func(ctx context.Context, _ *noInput) (*thingOutput, error) {
		entered <- struct{}{}
		<-release
		return &thingOutput{Body: thing{Name: "done"}}, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	client := w.client(w.serveUntil(ctx, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/lines" {
			entered <- struct{}{}
		}
		a.Handler().ServeHTTP(rw, r)
	})))
	streamed, answered := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := Call[struct{}](t.Context(), client, "GET", "/lines", nil)
		streamed <- err
	}()
	go func() {
		got, err := Call[thing](t.Context(), client, "GET", "/slow", nil)
		if err == nil && got.Name != "done" {
			err = fmt.Errorf("got %+v", got)
		}
		answered <- err
	}()
	<-entered
	<-entered
	cancel()
	<-gone
	if err := <-streamed; err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the request under way ended with %v", err)
	}
}

// failing is a listener whose Accept fails in turn with its errors, the last of which stays.
type failing struct {
	net.Listener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) == 0 {
		return f.Listener.Accept()
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, err
}

func TestServeAndBrokenListener(t *testing.T) {
	w := newWorld(t)
	certificate := w.certificate(certs.Identity{Deployment: "test", Role: certs.RoleDirector})
	config := mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil })
	run := func(errs ...error) (string, chan error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			ended <- Serve(t.Context(), w.log.logger(), []net.Listener{&failing{listener, errs}}, config, testAPI(w).Handler(), nil)
		}()
		return listener.Addr().String(), ended
	}
	dead := errors.New("the device is gone")
	if _, ended := run(dead); !errors.Is(<-ended, dead) {
		t.Error("Serve does not end with its listener")
	}
	address, ended := run(&net.OpError{Op: "accept", Err: syscall.EMFILE}, &net.OpError{Op: "accept", Err: syscall.ECONNABORTED})
	if _, err := Call[struct{}](t.Context(), w.client(address), "POST", "/v1/nothing", nil); err != nil {
		t.Errorf("after passing errors: %v", err)
	}
	w.t.Cleanup(func() { <-ended })
}

// pipes is a listener that hands out its connections and then waits for Close.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// A connection that says nothing does not keep the listener from ending, and is given up in the end.
func TestStrangers(t *testing.T) {
	for name, end := range map[string]func(*split){"close": func(s *split) { s.Close() }, "time": func(*split) { time.Sleep(headerTime) }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				p := &pipes{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
				p.conns <- near
				s := newSplit(p)
				ended := make(chan error, 1)
				go func() { ended <- s.run() }()
				synctest.Wait()
				begin := time.Now()
				end(s)
				if _, err := far.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("the stranger got %v", err)
				}
				s.Close()
				if err := <-ended; !errors.Is(err, net.ErrClosed) || name == "close" && time.Since(begin) != 0 {
					t.Errorf("run ended after %s with %v", time.Since(begin), err)
				}
			})
		})
	}
}
