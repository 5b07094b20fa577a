package directortest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
	"conpaas/director/httpapi"
	"conpaas/director/store"
	"conpaas/vpn"
)

// Options change a director. The zero value is right for most tests.
type Options struct {
	Dir       string // data folder; default a temporary one
	Cloud     *Cloud // default a new one
	Other     *Cloud // a second cloud, named other; default none
	Timing    app.Timing
	Lives     app.Certificates
	Relays    []api.Relay                    // of VPN_BOOTSTRAP_NODES
	Failpoint func(name string) error        // of the store
	Now       func() time.Time               // clock of the store; default time.Now
	Register  bool                           // SELF_REGISTRATION
	Credit    app.CreditRules                // default 50 and 50
	Keep      time.Duration                  // of orphaned volumes; default a week
	Kinds     []api.ServiceKind              // service types; default the catalogue's
	Uptime    func() (string, time.Duration) // of the host, as the store asks for it
	Log       *slog.Logger                   // default: nothing is logged
}

// Director is a director that runs until Stop.
type Director struct {
	*app.Director
	Dir   string
	URL   string
	Cloud *Cloud

	cancel  context.CancelFunc
	stopped chan error
}

// Admin is the user that every director has.
func (d *Director) Admin() app.Actor { return app.Actor{ID: 1, Name: "admin", Admin: true} }

// Start starts a director; the test ends it, unless it was stopped before.
func Start(t testing.TB, o Options) *Director {
	t.Helper()
	d, err := Open(t, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Open is Start for tests that expect it to fail, or that stop the director themselves.
func Open(t testing.TB, o Options) (*Director, error) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Cloud == nil {
		o.Cloud = NewCloud()
		t.Cleanup(o.Cloud.Close)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Credit == (app.CreditRules{}) {
		o.Credit = app.CreditRules{Initial: 50, Max: 50}
	}
	programs := t.TempDir()
	for _, name := range []string{"cpsmanager", "cpsagent"} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			return nil, err
		}
	}
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		return nil, err
	}
	clouds := []app.Cloud{{Name: "default", Kind: "memory", Provider: o.Cloud}}
	if o.Other != nil {
		clouds = append(clouds, app.Cloud{Name: "other", Kind: "memory", Provider: o.Other})
	}
	listener, err := listen(o.Dir)
	if err != nil {
		return nil, err
	}
	d := &Director{Dir: o.Dir, URL: fmt.Sprintf("https://localhost:%d", listener.Addr().(*net.TCPAddr).Port), Cloud: o.Cloud, stopped: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.Director, err = app.Open(ctx, app.Config{
		Dir: o.Dir, Store: store.Options{Failpoint: o.Failpoint, Now: o.Now, Uptime: o.Uptime}, URL: d.URL, CodeFrom: programs, Arch: "x86_64", Plan: plan,
		Clouds: clouds, Timing: o.Timing, Certificates: o.Lives, Log: o.Log, Relays: o.Relays,
		Register: o.Register, Credit: o.Credit, VolumeKeep: o.Keep, Kinds: o.Kinds,
	})
	if err != nil {
		cancel()
		return nil, errors.Join(err, listener.Close())
	}
	go func() { d.stopped <- d.serve(ctx, listener, o.Log) }()
	return d, nil
}

// listen takes the port that an earlier director on the same data had, since its machines know only that.
func listen(dir string) (net.Listener, error) {
	file := filepath.Join(dir, "test-address")
	address := "127.0.0.1:0"
	if known, err := os.ReadFile(file); err == nil {
		address = string(known)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return l, os.WriteFile(file, []byte(l.Addr().String()), 0o600)
}

func (d *Director) serve(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var port sync.WaitGroup
	var served error
	err := d.Run(ctx, func(inside []net.Listener) error {
		port.Go(func() {
			defer cancel()
			served = wire.Serve(ctx, log, append(inside, listener), mtls.ServerConfig(d.Certificate()), httpapi.New(d.Director, log).Handler(), d.CA)
		})
		return nil
	})
	cancel()
	port.Wait()
	_ = listener.Close() // where the port was never served
	return errors.Join(err, served, d.Close())
}

// Stop ends the director and waits for it; machines go on. It may be repeated.
func (d *Director) Stop() error {
	d.cancel()
	err := <-d.stopped
	d.stopped <- nil
	return err
}

// Await waits until ok gives nil, for at most limit.
func Await(t testing.TB, limit time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = ok(); last == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s: %v", limit, what, last)
		}
	}
}

// ApplicationNodes gives all machines of an application, its manager's too.
func (d *Director) ApplicationNodes(ctx context.Context, a app.Actor, ref string) ([]api.Node, error) {
	var nodes []api.Node
	for page := (app.Page{}); ; {
		list, err := d.Director.ApplicationNodes(ctx, a, ref, page)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, list.Items...)
		if page.After = list.Next; page.After == "" {
			return nodes, nil
		}
	}
}

// Finish waits until an operation has ended and gives it.
func (d *Director) Finish(t testing.TB, op api.Operation) api.Operation {
	t.Helper()
	Await(t, 30*time.Second, "operation "+string(op.ID)+" ends", func() error {
		now, err := d.Operation(t.Context(), d.Admin(), op.ID)
		if err != nil {
			return err
		}
		if op = now; !op.State.Final() {
			return fmt.Errorf("it is %s: %s", op.State, op.Progress)
		}
		return nil
	})
	return op
}
