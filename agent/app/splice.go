package app

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"conpaas/client/join"
)

// connectSpliced has the director carry a connection to the manager, and goes on trying to make one over the overlay,
// which replaces it: the manager takes the newest. It tells whether there was one that the director has not carried, and
// returns when there is none of either kind any more.
func (a *App) connectSpliced(ctx context.Context, handler http.Handler) (direct bool) {
	ctx, cancel := context.WithCancel(ctx)
	var carried sync.WaitGroup
	defer carried.Wait()
	defer cancel()
	ended := make(chan struct{})
	carried.Go(func() {
		defer close(ended)
		up, err := a.connectOnce(ctx, handler, func(ctx context.Context) (net.Conn, error) { return join.Splice(ctx, a.boot, a.store) })
		if ctx.Err() == nil {
			a.log.Warn("the director carries no connection to the manager", "was up", up, "err", err)
		}
	})
	again := time.NewTicker(a.timing.Direct)
	defer again.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-again.C:
		}
		up, err := a.connectOnce(ctx, handler, nil)
		if up {
			return true
		}
		a.log.Debug("the manager is not reached over the overlay yet", "err", err)
	}
}
