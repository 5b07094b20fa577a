package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"conpaas/client/wire"
)

// openCheck is how often a stream looks whether its caller's certificate or token has ended by itself.
const openCheck = 15 * time.Second

type handler = func(w http.ResponseWriter, r *http.Request, path func(string) string) error

// whileOpen cuts a stream when that by which its caller is known opens the account no more: a token or certificate that is
// revoked takes along what was begun with it.
func (s *server) whileOpen(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
		ctx, cancel := context.WithCancelCause(r.Context())
		changed, stop := s.director.WatchAccess(wire.CallerFrom(ctx).User)
		defer stop()
		var watching sync.WaitGroup
		watching.Go(func() { cancel(s.untilShut(ctx, r, changed)) })
		defer watching.Wait()
		defer cancel(nil)
		err := h(w, r.WithContext(ctx), path)
		if ctx.Err() != nil && r.Context().Err() == nil {
			return context.Cause(ctx)
		}
		return err
	}
}

// untilShut waits until ctx ends, or the caller of a request would be refused; then it gives the reason.
func (s *server) untilShut(ctx context.Context, r *http.Request, changed <-chan struct{}) error {
	tick := time.NewTicker(openCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
		if _, err := s.authenticate(r); ctx.Err() == nil && err != nil {
			return err
		}
	}
}
