package httpapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
	"conpaas/director/directortest"
	ownrelay "conpaas/director/relay"
	"conpaas/vpn/relay"
)

// newRelay gives the directory of a relay, and what stands in VPN_BOOTSTRAP_NODES for it.
func newRelay(t *testing.T) (dir string, r api.Relay) {
	t.Helper()
	dir = t.TempDir()
	_, public, err := ownrelay.Key(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort("192.0.2.7:51822")
	return dir, api.Relay{Name: at.String(), Key: api.OverlayKey(public), Endpoint: at}
}

func (w *world) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(w.authority.Certificate())
	return pool
}

// runRelay runs a relay until the test ends or stop is called.
func (w *world) runRelay(t *testing.T, dir string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- ownrelay.Away{
			Log: slog.New(slog.DiscardHandler), Dir: dir, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Director: w.URL, TLS: &tls.Config{RootCAs: w.roots()},
		}.Run(ctx)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// serves waits until a relay's file has as many nodes, all of the own application.
func serves(t *testing.T, dir string, count int) {
	t.Helper()
	directortest.Await(t, 30*time.Second, fmt.Sprintf("the relay serves %d nodes", count), func() error {
		text, err := os.ReadFile(filepath.Join(dir, "nodes.json"))
		if err != nil {
			return err
		}
		var nodes []relay.Node
		if err := json.Unmarshal(text, &nodes); err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Group != ownApplication {
				return fmt.Errorf("a node is of group %s", n.Group)
			}
		}
		if len(nodes) != count {
			return fmt.Errorf("it serves %v", nodes)
		}
		return nil
	})
}

// A relay that an administrator has put into VPN_BOOTSTRAP_NODES learns from the director whom it serves, and what
// changes; one that is not there learns nothing, and forgets whom it has served.
func TestRelayLearnsItsNodes(t *testing.T) {
	t.Parallel()
	dir, known := newRelay(t)
	w := newWorld(t, known)
	owner := app.Actor{ID: 2, Name: "owner"}
	w.runRelay(t, dir)
	serves(t, dir, 2)
	if _, err := w.AddNodes(t.Context(), owner, "shop", "hello", api.NodesChange{Nodes: map[api.Role]int{api.HelloworldNode: 1}}); err != nil {
		t.Fatal(err)
	}
	serves(t, dir, 3)
	if _, err := w.RemoveNodes(t.Context(), owner, "shop", "hello", api.NodesChange{Nodes: map[api.Role]int{api.HelloworldNode: 1}}); err != nil {
		t.Fatal(err)
	}
	serves(t, dir, 2)
	other, _ := newRelay(t)
	if err := ownrelay.WriteNodes(filepath.Join(other, "nodes.json"), []relay.Node{{Key: string(known.Key), Group: ownApplication}}); err != nil {
		t.Fatal(err)
	}
	w.runRelay(t, other)
	serves(t, other, 0)
}

// The proof of a relay opens its list and nothing else; without it nobody gets the list.
func TestRelaysOpenOnlyTheirList(t *testing.T) {
	t.Parallel()
	dir, known := newRelay(t)
	w := newWorld(t, known)
	private, public, err := ownrelay.Key(dir)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := relay.Proof(private, string(w.RelayKey().Key))
	if err != nil {
		t.Fatal(err)
	}
	stranger, strange := newRelay(t)
	strangePrivate, _, err := ownrelay.Key(stranger)
	if err != nil {
		t.Fatal(err)
	}
	strangeProof, err := relay.Proof(strangePrivate, string(w.RelayKey().Key))
	if err != nil {
		t.Fatal(err)
	}
	c := &wire.Client{HTTP: w.callers["anonymous"].client, Base: w.URL}
	get := func(path, say string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		body, err := wire.Stream(ctx, c, http.MethodGet, path, nil, wire.WithHeader("Authorization", say))
		if err != nil {
			return err
		}
		defer body.Close()
		for update, err := range wire.Lines[api.RelayUpdate](body) {
			if err == nil && (!update.Complete || len(update.Set) != 2) {
				err = fmt.Errorf("the first line is %+v", update)
			}
			return err
		}
		return errors.New("nothing came")
	}
	directortest.Await(t, 10*time.Second, "the relay itself gets its list", func() error {
		return get(api.RelayNodesPath, api.RelayScheme+public+" "+proof)
	})
	for name, say := range map[string]string{
		"another's proof": public + " " + strangeProof, "another relay": string(strange.Key) + " " + strangeProof,
		"no proof": public, "nothing": "", "only a proof": " " + proof,
	} {
		if err := get(api.RelayNodesPath, api.RelayScheme+say); api.CodeFrom(err) != api.CodeUnauthenticated {
			t.Errorf("%s: %v, want %s", name, err, api.CodeUnauthenticated)
		}
	}
	for _, r := range w.routes() {
		if r.Rule == "public" || r.Rule == "relay" || r.Method != http.MethodGet {
			continue
		}
		path := fill(t, r.Path, w.values())
		if err := get(path, api.RelayScheme+public+" "+proof); api.CodeFrom(err) != api.CodeForbidden {
			t.Errorf("%s %s as relay: %v, want %s", r.Method, strings.TrimSpace(path), err, api.CodeForbidden)
		}
	}
}
