package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
	"conpaas/vpn/relay"
)

const (
	retryFirst  = time.Second
	retryLast   = 30 * time.Second
	silenceTime = time.Minute // without a line, of which the director sends one each 15 s
)

// Away is a relay on a machine of its own, which learns from the director whom it serves.
type Away struct {
	Log      *slog.Logger
	Dir      string         // its own
	Listen   netip.AddrPort // IPv4
	Director string         // URL
	Address  string         // host:port to dial instead of the URL's; "": that
	TLS      *tls.Config    // trusts the director's CA
}

// Run relays until ctx ends. While the director is away the relay serves whom it has served; when the director does not
// know it any more, because its line has gone from VPN_BOOTSTRAP_NODES, it serves nobody.
func (a Away) Run(ctx context.Context) error {
	private, public, err := Key(a.Dir)
	if err != nil {
		return err
	}
	server, err := relay.New(relay.Config{Log: a.Log, PrivateKey: private, Listen: a.Listen})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		a.follow(ctx, private, public)
	}()
	err = server.RunFile(ctx, filepath.Join(a.Dir, nodesFile))
	cancel()
	<-followed
	return err
}

// follow keeps the file of nodes as the director says.
func (a Away) follow(ctx context.Context, private, public string) {
	transport := wire.NewTransport(a.TLS, a.Address)
	defer transport.CloseIdleConnections()
	c := &wire.Client{HTTP: &http.Client{Transport: transport}, Base: a.Director}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = retryFirst, retryLast
	for ctx.Err() == nil {
		err := a.listen(ctx, c, private, public, pauses.Reset)
		if ctx.Err() != nil {
			return
		}
		if code := api.CodeFrom(err); code == api.CodeUnauthenticated || code == api.CodeForbidden {
			a.Log.Error("the director does not know this relay, which serves nobody: write its line into VPN_BOOTSTRAP_NODES and restart the director", "key", public, daemon.KeyError, err)
			if err := WriteNodes(filepath.Join(a.Dir, nodesFile), []relay.Node{}); err != nil {
				a.Log.Error("the list of nodes cannot be cleared", daemon.KeyError, err)
			}
		} else {
			a.Log.Warn("the director does not tell whom to serve; the relay goes on with whom it knows", daemon.KeyError, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pauses.NextBackOff()):
		}
	}
}

// listen takes one stream of the director; heard is called when the list is whole.
func (a Away) listen(ctx context.Context, c *wire.Client, private, public string, heard func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(silenceTime, func() { cancel(fmt.Errorf("the director has said nothing for %s", silenceTime)) })
	defer silent.Stop()
	director, err := wire.Call[api.RelayKey](ctx, c, http.MethodGet, api.RelayKeyPath, nil)
	if err != nil {
		return err
	}
	proof, err := relay.Proof(private, string(director.Key))
	if err != nil {
		return err
	}
	body, err := wire.Stream(ctx, c, http.MethodGet, api.RelayNodesPath, nil, wire.WithHeader("Authorization", api.RelayScheme+public+" "+proof))
	if err != nil {
		return err
	}
	defer body.Close()
	list := newList(filepath.Join(a.Dir, nodesFile))
	for update, err := range wire.Lines[api.RelayUpdate](body) {
		if err != nil {
			return err
		}
		silent.Reset(silenceTime)
		if err := list.take(update); err != nil {
			return err
		}
		if update.Complete {
			heard()
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return io.ErrUnexpectedEOF
}

// list is what a relay has heard of its nodes.
type list struct {
	path  string
	nodes map[api.OverlayKey]api.ApplicationID
	whole bool
}

func newList(path string) *list {
	return &list{path: path, nodes: map[api.OverlayKey]api.ApplicationID{}}
}

// take learns a line and writes what has changed, once the list is whole.
func (l *list) take(u api.RelayUpdate) error {
	for _, n := range u.Set {
		l.nodes[n.Key] = n.Application
	}
	for _, key := range u.Remove {
		delete(l.nodes, key)
	}
	if l.whole = l.whole || u.Complete; !l.whole || len(u.Set)+len(u.Remove) == 0 && !u.Complete {
		return nil
	}
	nodes := make([]relay.Node, 0, len(l.nodes))
	for _, key := range slices.Sorted(maps.Keys(l.nodes)) {
		nodes = append(nodes, relay.Node{Key: string(key), Group: l.nodes[key].String()})
	}
	return WriteNodes(l.path, nodes)
}

// Line is what an administrator writes into VPN_BOOTSTRAP_NODES for the relay of a directory.
func Line(dir string, public netip.AddrPort) (string, error) {
	_, key, err := Key(dir)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("udp://%s %s", public, key), nil
}
