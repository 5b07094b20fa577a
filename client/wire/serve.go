package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

const (
	headerTime   = 10 * time.Second // for the first byte, the TLS handshake and each request's header
	headerMax    = 64 << 10         // bytes of a request's header
	idleTime     = 2 * time.Minute
	shutdownTime = 10 * time.Second // for the requests that are under way at the end
)

// newServer makes an HTTP server with the limits that hold everywhere. ctx is the parent of every request's context.
// Bodies and answers have limits of their own: see recorder and pacedBody.
func newServer(ctx context.Context, log *slog.Logger, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerMax,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
}

// Serve serves h over TLS on the listeners, which it closes, until ctx ends or a listener breaks. A connection that does not
// begin with TLS gets plain HTTP, where GET /ca.pem answers what caPEM gives (public; checked by its fingerprint) and all
// else is refused naming https. At the end the streams of Raw routes end at once and other requests get 10 s. It gives
// nil after an orderly end. Of a program's open files connections take three quarters at the most, and those
// of one address that have not shown whose they are a quarter of these: see bounded. Connections that were taken over, as by a Hub, are left to those who have them.
func Serve(ctx context.Context, log *slog.Logger, listeners []net.Listener, config *tls.Config, h http.Handler, caPEM func() []byte) error {
	requests, cut := context.WithCancel(withShutdown(context.WithoutCancel(ctx), ctx))
	defer cut()
	secure := newServer(requests, log, h)
	secure.TLSConfig, secure.ConnContext = queued(config, handshakesAtOnce*runtime.GOMAXPROCS(0), handshakeShare), withPlaced
	plain := newServer(requests, log, plainHandler(caPEM))
	plain.ReadTimeout, plain.WriteTimeout, plain.MaxHeaderBytes = headerTime, headerTime, 8<<10
	plain.SetKeepAlivesEnabled(false)

	var running sync.WaitGroup
	broken := make(chan error, 3*len(listeners))
	limit := newBounded(log, maxConnections())
	for _, l := range listeners {
		s := newSplit(limit.listener(l))
		running.Go(func() { broken <- s.run() })
		running.Go(func() { broken <- secure.ServeTLS(s.tls, "", "") })
		running.Go(func() { broken <- plain.Serve(s.plain) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
	}
	bounded, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer stop()
	for _, server := range []*http.Server{plain, secure} {
		if late := server.Shutdown(bounded); late != nil {
			log.Warn("requests are cut at the end of the server", "err", late)
			cut()
			server.Close()
		}
	}
	for _, l := range listeners {
		l.Close()
	}
	running.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// plainHandler is what a caller without TLS gets.
func plainHandler(caPEM func() []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if r.URL.Path == "/ca.pem" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			w.Header().Set("Content-Type", "application/x-pem-file")
			w.Write(caPEM())
			return
		}
		http.Error(w, "This port speaks https only: begin the address with https://", http.StatusBadRequest)
	})
}

type shutdownKey struct{}

// withShutdown lets the streams of a server know when its shutdown begins: when the context end ends.
func withShutdown(ctx, end context.Context) context.Context {
	return context.WithValue(ctx, shutdownKey{}, end)
}

// untilShutdown gives a context that also ends when the shutdown of its server begins.
func untilShutdown(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Value(shutdownKey{}).(context.Context)
	ctx, cancel := context.WithCancel(ctx)
	if !ok {
		return ctx, cancel
	}
	release := context.AfterFunc(end, cancel)
	return ctx, func() { release(); cancel() }
}
