package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"reflect"
	"time"

	"github.com/cenkalti/backoff/v5"

	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/join"
	"conpaas/client/wire"
)

// loadParent gives the parent that the director has named last: at the join or since.
func (a *App) loadParent() api.Parent {
	data, err := a.host.State().Read(parentFile, 1<<20)
	if err == nil {
		var p api.Parent
		if err = json.Unmarshal(data, &p); err == nil {
			return p
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("the stored parent cannot be read; the one of the join is tried first", "err", err)
	}
	return a.answer.Parent
}

func (a *App) currentParent() api.Parent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.parent
}

// connect keeps a connection to the manager, on which the manager calls handler, until ctx ends. When there was
// none for a while it asks the director who the manager is now, and, when there was none for longer, to carry it.
func (a *App) connect(ctx context.Context, handler http.Handler) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = a.timing.RetryFirst, min(a.timing.RetryLast, 5*time.Second)
	lost := time.Now() // when the last connection ended; time.Since is not moved by jumps of the clock
	direct := lost     // the same of connections that the director has not carried
	patience := jitter(a.timing.ParentLookup)
	a.awaitOverlay(ctx)
	for ctx.Err() == nil {
		up, err := a.connectOnce(ctx, handler, nil)
		if ctx.Err() != nil {
			return
		}
		if up {
			lost, direct, patience = time.Now(), time.Now(), jitter(a.timing.ParentLookup)
			pauses.Reset()
		}
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted || api.CodeFrom(err) == api.CodeUnauthenticated {
			a.renewal.Soon() // the director gives what is good now, to know the manager by and to be known by it
		}
		a.log.Warn("no connection to the manager", "address", a.currentParent().Address, "err", err)
		if time.Since(lost) > patience {
			same := a.findParent(ctx)
			lost, patience = time.Now(), jitter(a.timing.ParentLookup)
			if same && time.Since(direct) > a.timing.Splice && a.connectSpliced(ctx, handler) {
				lost, direct = time.Now(), time.Now()
				pauses.Reset()
			}
		}
		pause := time.NewTimer(pauses.NextBackOff())
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// awaitOverlay waits until the manager can be dialled over the overlay: a dial before that fails and costs a pause. An overlay
// that does not come up keeps nobody from looking for other ways.
func (a *App) awaitOverlay(ctx context.Context) {
	limit := time.NewTimer(a.timing.Connect)
	defer limit.Stop()
	select {
	case <-a.overlay.ready():
	case <-limit.C:
	case <-ctx.Done():
	}
}

// connectOnce dials the manager and serves it until the connection breaks. It tells whether there was one. dial makes the
// connection otherwise than by the overlay, if it is given.
func (a *App) connectOnce(ctx context.Context, handler http.Handler, dial func(context.Context) (net.Conn, error)) (up bool, err error) {
	parent := a.currentParent()
	trying, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	slow := time.AfterFunc(a.timing.Connect, func() {
		giveUp(fmt.Errorf("%s does not answer within %s", parent.Address, a.timing.Connect))
	})
	defer slow.Stop()
	config := mtls.ClientConfig(a.store, nil, parent.ServerName)
	config.Time = join.Clock(a.boot)
	err = wire.Connect(trying, wire.Connection{
		Client: config, Address: parent.Address, Dial: dial, ServerName: parent.ServerName, Path: "/v1/connect",
		Hello:   api.Hello{Node: a.boot.Node, BootID: a.bootID, Version: daemon.Version},
		Handler: handler, Log: a.log,
		OnUp: func() {
			up = slow.Stop()
			a.log.Info("connected to the manager", "address", parent.Address, "carried", dial != nil)
			if dial != nil {
				a.board.event("agent.carried", true, "its manager is not reached over the overlay network; the director carries the connection")
			}
		},
	})
	if cause := context.Cause(trying); cause != nil && ctx.Err() == nil {
		err = cause
	}
	return up, err
}

// findParent asks the director who the manager is, and makes it known to the overlay. An answer that is no other
// than before, which is true, changes nothing; without an answer things stay as they are.
func (a *App) findParent(ctx context.Context) (same bool) {
	limited, cancel := context.WithTimeout(ctx, a.timing.Connect)
	defer cancel()
	parent, err := join.FindParent(limited, a.boot, a.store)
	if err != nil {
		if !ended(ctx, err) {
			a.log.Warn("the director does not say who the manager is", "err", err)
		}
		return false
	}
	if err := a.checkParent(parent); err != nil {
		a.log.Warn("the director names an impossible manager", "err", err)
		return false
	}
	if same = !a.setParent(parent); !same {
		a.log.Info("the manager is another one now", "address", parent.Address, "incarnation", parent.Incarnation)
		a.board.event("agent.parent_changed", false, "its manager has been replaced (incarnation %d)", parent.Incarnation)
	}
	if err := a.overlay.sync(ctx); err != nil {
		a.log.Warn("the overlay does not take the manager", "err", err)
	}
	return same
}

// setParent notes what the director says of the parent, and tells whether that is another manager.
func (a *App) setParent(p api.Parent) bool {
	was := a.currentParent()
	if reflect.DeepEqual(p, was) {
		return false
	}
	data, err := json.Marshal(p)
	if err == nil {
		_, err = a.host.State().Write(parentFile, data, 0o600)
	}
	if err != nil { // the director can be asked again
		a.log.Warn("the parent cannot be stored", "err", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parent = p
	return p.ServerName != was.ServerName || p.Incarnation != was.Incarnation || p.Address != was.Address
}

func (a *App) checkParent(p api.Parent) error {
	if p.Address == "" || p.ServerName == "" {
		return fmt.Errorf("parent: it has no address or no name: %q, %q", p.Address, p.ServerName)
	}
	if err := checkRelays(p.Relays); err != nil {
		return fmt.Errorf("parent: %w", err)
	}
	if p.Peer != nil {
		if err := a.checkPeers([]api.Peer{*p.Peer}); err != nil {
			return fmt.Errorf("parent: %w", err)
		}
	}
	return nil
}
