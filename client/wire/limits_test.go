package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conpaas/certs"
	"conpaas/certs/mtls"
)

// A caller that is slow with its handshake or with its header is cut off.
func TestSlowCallersAreCut(t *testing.T) {
	w := newWorld(t)
	certificate := w.certificate(certs.Identity{Deployment: "test", Role: certs.RoleDirector})
	config := mtls.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil })
	now, roots := time.Now(), w.tlsConfig(nil)
	roots.Time = func() time.Time { return now } // and not that of the bubble
	for name, talk := range map[string]func(net.Conn) (net.Conn, error){
		"handshake": func(c net.Conn) (net.Conn, error) {
			_, err := c.Write([]byte{22, 3, 1})
			return c, err
		},
		"header": func(c net.Conn) (net.Conn, error) {
			secure := tls.Client(c, roots)
			if err := secure.Handshake(); err != nil {
				return nil, err
			}
			_, err := io.WriteString(secure, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
			return secure, err
		},
		"plain header": func(c net.Conn) (net.Conn, error) {
			_, err := io.WriteString(c, "GET /ca.pem HTTP/1.1\r\n")
			return c, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				p := &pipes{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
				p.conns <- near
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ended <- Serve(ctx, w.log.logger(), []net.Listener{&onceClosed{pipes: p}}, config, http.NotFoundHandler(), w.authority.CertificatePEM)
				}()
				conn, err := talk(far)
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				_, err = io.Copy(io.Discard, conn)
				if took := time.Since(begin); took < headerTime/2 || took > 2*headerTime {
					t.Errorf("it is cut after %s with %v, want about %s", took, err, headerTime)
				}
				far.Close()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// onceClosed is pipes whose Close may come more than once.
type onceClosed struct {
	*pipes
	closed bool
}

func (o *onceClosed) Close() error {
	if o.closed {
		return nil
	}
	o.closed = true
	return o.pipes.Close()
}

// A header that is too large is refused without being read to its end.
func TestLargeHeaderIsRefused(t *testing.T) {
	w := newWorld(t)
	address := w.serve(testAPI(w).Handler())
	conn, err := tls.Dial("tcp", address, w.tlsConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { // it goes on writing when the answer has come
		_, _ = fmt.Fprintf(conn, "GET /v1/log HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("a", 4*headerMax))
	}()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("the answer is %s, want 431", answer.Status)
	}
}
