// Package page is a small web server of the agent's own program. It stands in for a program that serves a page where a machine has no
// network of its own (runtime "process", for tests and benchmarks).
//
// It knows nothing of what is on the page and of who has made it.
package page

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"conpaas/agent/host"
)

// Name is that of the program, under which it is supervised and logs, and of the hidden command of the agent that calls Serve. The
// command takes --root, --file and, once or more, --listen.
const Name = "page"

// maxPage is in bytes.
const maxPage = 1 << 20

// Program gives the server of a file below the host's state directory.
func Program(h *host.Host, file string, listen []netip.AddrPort) host.Program {
	args := []string{Name, "--root", h.Root(), "--file", file}
	for _, l := range listen {
		args = append(args, "--listen", l.String())
	}
	return host.Program{Name: Name, Path: h.Self(), Args: args, Grace: 10 * time.Second}
}

// Serve serves the file as / on the addresses until ctx ends and the requests in flight have ended.
func Serve(ctx context.Context, h *host.Host, file string, listen []netip.AddrPort) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		data, err := h.State().Read(file, maxPage)
		if err != nil {
			http.Error(w, "the page is not there", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(data)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second}
	listeners := make([]net.Listener, 0, len(listen))
	for _, address := range listen {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address.String())
		if err != nil {
			return errors.Join(fmt.Errorf("listen on %s for the page: %w", address, err), closeAll(listeners))
		}
		listeners = append(listeners, l)
	}
	if len(listeners) == 0 {
		return errors.New("name at least one address with --listen")
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- server.Serve(l) }()
	}
	var errs []error
	waiting := len(listeners)
	select {
	case <-ctx.Done():
	case err := <-ended:
		errs, waiting = append(errs, err), waiting-1
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	errs = append(errs, server.Shutdown(end))
	for range waiting {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
