package wire

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"conpaas/client/api"
)

// Upgrade asks the component for GET path and has the connection turned into a bare one, as the other end's TakeOver of the
// same protocol does. It dials as the client's transport does, a child of a Hub too. The caller closes the connection.
// Its errors are those of Call.
func (c *Client) Upgrade(ctx context.Context, path, protocol string, opts ...Option) (net.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+path, nil)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "GET %s%s: %v", c.Base, path, err)
	}
	for _, option := range opts {
		option(r)
	}
	conn, err := c.dial(bounded, r.URL)
	if err != nil {
		return nil, c.trouble(ctx, http.MethodGet, path, err)
	}
	release := context.AfterFunc(ctx, func() { conn.Close() })
	defer release()
	upgraded, err := upgrade(conn, r, protocol)
	if err != nil {
		conn.Close()
		return nil, c.trouble(ctx, http.MethodGet, path, err)
	}
	return upgraded, nil
}

// dial makes a connection of the client's transport, with TLS where the URL says so.
func (c *Client) dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	if s, ok := c.HTTP.Transport.(streams); ok {
		return s.open(u.Hostname())
	}
	transport, ok := c.HTTP.Transport.(*http.Transport)
	if !ok || transport.DialContext == nil {
		return nil, errors.New("this client cannot dial by itself")
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	raw, err := transport.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)))
	if err != nil || u.Scheme != "https" {
		return raw, err
	}
	return secure(ctx, raw, transport.TLSClientConfig, cmp.Or(transport.TLSClientConfig.ServerName, u.Hostname()))
}

// secure does the child's part of TLS on a connection, which it closes where that fails.
func secure(ctx context.Context, raw net.Conn, config *tls.Config, name string) (net.Conn, error) {
	config = config.Clone()
	config.ServerName, config.NextProtos = name, []string{"http/1.1", tunnelProtocol} // HTTP/2 cannot be upgraded
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// upgrade sends a request for another protocol. What the other end has sent behind its answer is kept.
func upgrade(conn net.Conn, r *http.Request, protocol string) (net.Conn, error) {
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", protocol)
	conn.SetDeadline(time.Now().Add(upgradeTime))
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Upgrade") != protocol {
		defer answer.Body.Close()
		return nil, refusal(answer)
	}
	conn.SetDeadline(time.Time{})
	return putBackBuffer(conn, reader), nil
}

// CheckUpgrade tells by an *api.Error (CodeInvalid) that a request does not ask for a protocol.
func CheckUpgrade(r *http.Request, protocol string) error {
	if r.ProtoMajor != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), protocol) {
		return api.Errorf(api.CodeInvalid, "a connection needs HTTP/1.1 and the header Upgrade: %s", protocol)
	}
	return nil
}

// TakeOver answers a request for a protocol by giving the bare connection, which the caller closes.
func TakeOver(w http.ResponseWriter, r *http.Request, protocol string) (net.Conn, error) {
	if err := CheckUpgrade(r, protocol); err != nil {
		return nil, err
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take a connection over: %w", err)
	}
	if err := switchTo(conn, protocol); err != nil {
		conn.Close()
		return nil, fmt.Errorf("take a connection over: %w", err)
	}
	return patient{putBackBuffer(conn, buffered.Reader)}, nil
}

// patient is a connection on which TLS goes on after a deadline that has passed, as net/http needs: to crypto/tls an error
// that does not call itself temporary, like that of a stream, is the end of the connection.
type patient struct{ net.Conn }

// Read gives os.ErrDeadlineExceeded after the read deadline.
func (p patient) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// switchTo tells the other end that the connection is its own now.
func switchTo(conn net.Conn, protocol string) error {
	conn.SetDeadline(time.Now().Add(muxWrite))
	_, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	if err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}
