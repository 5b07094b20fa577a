package app

import (
	"context"
	"sync"
	"time"

	"conpaas/director/cloud"
)

// place is one configured cloud with what the director adds: bounded calls and pauses when it throttles.
type place struct {
	name, kind string
	options    map[string]string
	address    string
	maxVMs     int
	provider   cloud.Provider
	gate       chan struct{}
	uploads    chan struct{} // images that are coming
	images     sync.Mutex    // held while an image becomes current or is removed

	mu    sync.Mutex
	pause time.Time // no call before
}

// callsAtOnce bounds the calls to one cloud that are under way.
const callsAtOnce = 16

// callTimeout bounds one call to a cloud.
const callTimeout = 2 * time.Minute

func newPlace(c Cloud) *place {
	return &place{
		name: c.Name, kind: c.Kind, options: c.Options, address: c.Address, maxVMs: c.MaxVMs, provider: c.Provider,
		gate: make(chan struct{}, callsAtOnce), uploads: make(chan struct{}, imagesAtOnce),
	}
}

// call makes one call to the cloud when its turn comes.
func (p *place) call(ctx context.Context, f func(ctx context.Context) error) error {
	select {
	case p.gate <- struct{}{}:
		defer func() { <-p.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := f(ctx)
	if cloud.KindOf(err) == cloud.KindThrottled {
		p.mu.Lock()
		p.pause = time.Now().Add(2 * time.Second)
		p.mu.Unlock()
	}
	return err
}

// wait lets a pause go by that the cloud has asked for.
func (p *place) wait(ctx context.Context) error {
	p.mu.Lock()
	left := time.Until(p.pause)
	p.mu.Unlock()
	if left <= 0 {
		return nil
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// directorAddress is what machines there dial, "" for what the director's URL says.
func (p *place) directorAddress() string {
	if p.address != "" {
		return p.address
	}
	if host, ok := p.provider.(cloud.Host); ok {
		return host.DirectorAddress()
	}
	return ""
}

// overlayActive tells whether machines there have a network of their own.
func (p *place) overlayActive() bool {
	host, ok := p.provider.(cloud.Host)
	return !ok || host.OverlayActive()
}
