package wire

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/yamux"

	"conpaas/client/api"
)

const upgradeTime = 15 * time.Second // for the parent's answer

// Connection is what a child needs to connect to its parent.
type Connection struct {
	Client     *tls.Config                                 // with the child's certificate and the roots of the parent's
	Address    string                                      // host:port to dial
	Dial       func(ctx context.Context) (net.Conn, error) // makes the connection below TLS otherwise; nil: TCP to Address
	ServerName string                                      // that the parent's certificate must carry
	Path       string                                      // "": /v1/connect
	Hello      api.Hello                                   // what the child says of itself
	Handler    http.Handler                                // serves the parent's calls
	Log        *slog.Logger
	OnUp       func() // called once when the parent has taken the connection over; may be nil
}

// Connect is the child's end of the tunnel: it dials the parent and serves the parent's calls with Handler until the
// connection breaks or ctx ends. The error, which is never nil, is ctx's in the latter case; it wraps an *api.Error where
// the parent refuses the connection. Calls that are under way at the end find their context ended, and are waited for, but
// not for ever: a call that does not heed its context must not keep the child from connecting again.
func Connect(ctx context.Context, c Connection) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.Address, endOr(ctx, err))
	}
	session, err := yamux.Server(conn, muxConfig(c.Log))
	if err != nil {
		conn.Close()
		return fmt.Errorf("connect to %s: %w", c.Address, err)
	}
	release := context.AfterFunc(ctx, func() { session.Close() })
	defer release()
	calls, end := context.WithCancel(ctx)
	defer end()
	server := newServer(calls, c.Log, c.Handler)
	listener := &muxListener{Session: session}
	if c.OnUp != nil {
		c.OnUp()
	}
	_ = server.Serve(listener) // the listener has the reason
	session.Close()
	end()
	bounded, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer stop()
	if err := server.Shutdown(bounded); err != nil {
		c.Log.Warn("calls go on after the end of their connection", "parent", c.Address, "err", err)
	}
	return fmt.Errorf("connection to %s ended: %w", c.Address, endOr(ctx, listener.reason))
}

// endOr gives the end of ctx where that is the cause of err.
func endOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// dial makes the connection and has it upgraded.
func (c Connection) dial(ctx context.Context) (net.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", c.Address) }
	}
	raw, err := dial(bounded)
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { raw.Close() })
	defer release()
	conn, err := secure(bounded, raw, c.Client, c.ServerName)
	if err != nil {
		return nil, err
	}
	upgraded, err := c.upgrade(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return upgraded, nil
}

// upgrade asks the parent to take the connection over.
func (c Connection) upgrade(ctx context.Context, conn net.Conn) (net.Conn, error) {
	hello, err := json.Marshal(c.Hello)
	if err != nil {
		return nil, err
	}
	path := c.Path
	if path == "" {
		path = "/v1/connect"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.ServerName+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set(api.HeaderHello, string(hello))
	return upgrade(conn, r, upgradeName)
}
