package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"conpaas/client/api"
	"conpaas/manager/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noOverlay is a network whose configuration can be made to go wrong.
type noOverlay struct {
	err    error
	peers  []api.Peer
	relays []api.Relay
}

func (o *noOverlay) Configure(_ context.Context, peers []api.Peer, relays []api.Relay) error {
	o.peers, o.relays = peers, relays
	return o.err
}
func (*noOverlay) Relay() *api.Relay                  { return nil }
func (*noOverlay) Status() (string, []api.PeerStatus) { return "none", nil }

// noCertificate is that of a manager without a director.
type noCertificate struct{}

func (noCertificate) Want(string)                   {}
func (noCertificate) Trust() string                 { return "" }
func (noCertificate) Trusts(*x509.Certificate) bool { return true }

func newWorker(t *testing.T, cache string, o *noOverlay) *Worker {
	t.Helper()
	w, err := New(Config{
		Log: slog.New(slog.DiscardHandler), Node: "n100", Application: 1, Version: "v", BootID: "b", Cache: cache,
		Halves: services.Halves(), Overlay: o, Certificate: noCertificate{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// running gives a worker that runs until the function that it gives is called.
func running(t *testing.T, cache string, o *noOverlay) (*Worker, func()) {
	t.Helper()
	w := newWorker(t, cache, o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	return w, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the worker ended: %v", err)
		}
	}
}

// pull reads a worker's reports one by one.
func pull(t *testing.T, w *Worker) (next func() api.ManagerReport, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	get, end := iter.Pull(w.Reports(ctx))
	return func() api.ManagerReport {
			t.Helper()
			r, ok := get()
			if !ok {
				t.Fatal("the reports have ended")
			}
			return r
		}, func() {
			cancel()
			end()
		}
}

func TestReportsShowSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := running(t, filepath.Join(t.TempDir(), "spec"), &noOverlay{})
		defer stop()
		synctest.Wait()
		next, end := pull(t, w)
		defer end()
		if r := next(); !r.Snapshot || r.Plan != nil || r.Self == nil || r.Self.Node != "n100" {
			t.Errorf("the first line is %+v", r)
		}
		for range 3 {
			began := time.Now()
			if r := next(); r.Snapshot || r.Self != nil || len(r.Nodes) > 0 {
				t.Errorf("a sign of life is %+v", r)
			}
			if silent := time.Since(began); silent > 10*time.Second {
				t.Errorf("the stream was silent for %v", silent)
			}
		}
	})
}

func TestReportsCarryChangesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t, filepath.Join(t.TempDir(), "spec"), &noOverlay{})
		state := func(names ...string) State {
			s := State{Revision: 1, Nodes: map[api.NodeID]api.NodeHealth{}}
			for _, name := range names {
				id, text, _ := cutName(name)
				s.Nodes[id] = api.NodeHealth{Node: id, Reason: text}
			}
			return s
		}
		w.board.publish(state("n1 a", "n2 a"))
		next, end := pull(t, w)
		defer end()
		if r := next(); !r.Snapshot || len(r.Nodes) != 2 {
			t.Errorf("the first line is %+v", r)
		}
		w.board.publish(state("n1 b", "n2 a"))
		w.board.publish(state("n1 c", "n2 a"))
		if r := next(); r.Snapshot || len(r.Nodes) != 1 || r.Nodes[0].Reason != "c" {
			t.Errorf("the line of a change is %+v", r)
		}
		w.board.publish(state("n1 c"))
		if r := next(); !r.Snapshot || len(r.Nodes) != 1 {
			t.Errorf("the line of a node that has gone is %+v, want a snapshot", r)
		}
		w.hub.Close()
	})
}

func cutName(name string) (id api.NodeID, text string, ok bool) {
	var a, b string
	n, _ := fmt.Sscan(name, &a, &b)
	return api.NodeID(a), b, n == 2
}

// Events that nobody has read wait for the next reader, up to a bound.
func TestEventsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t, filepath.Join(t.TempDir(), "spec"), &noOverlay{})
		defer w.hub.Close()
		for i := range eventsMax + 3 {
			w.board.tell(api.Event{Text: fmt.Sprint(i)})
		}
		next, end := pull(t, w)
		next()
		if r := next(); r.Event == nil || r.Event.Text != "3" {
			t.Errorf("the first event is %+v", r.Event)
		}
		end() // the reader breaks while it has the first event
		next, end = pull(t, w)
		defer end()
		next()
		for i := range eventsMax {
			if r := next(); r.Event == nil || r.Event.Text != fmt.Sprint(i+3) {
				t.Fatalf("event %d is %+v", i, r.Event)
			}
		}
		for range 3 {
			if r := next(); r.Event != nil {
				t.Fatalf("an event comes twice: %+v", r.Event)
			}
		}
	})
}

func TestPutConfiguresTheOverlayFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &noOverlay{err: errors.New("no /dev/net/tun")}
		cache := filepath.Join(t.TempDir(), "spec")
		w, stop := running(t, cache, o)
		spec := api.ManagerSpec{
			Application: api.ApplicationSpec{ID: 1, Revision: 4}, Relays: []api.Relay{{Name: "r"}},
			Nodes: []api.NodeInfo{
				{ID: "n1", Key: "k1", State: api.NodeBooting},
				{ID: "n2", State: api.NodeBooting},
				{ID: "n3", Key: "k3", State: api.NodeDeleting},
				{ID: "n100", Key: "own", Role: api.ManagerRole, State: api.NodeReady},
			},
		}
		epoch := api.Epoch{Fence: 2, Revision: 4}
		if err := w.Put(t.Context(), epoch, spec); api.CodeFrom(err) != api.CodeUnavailable {
			t.Errorf("without an overlay the answer is %v, want %s", err, api.CodeUnavailable)
		}
		o.err = nil
		if err := w.Put(t.Context(), epoch, spec); err != nil {
			t.Errorf("the second time: %v", err)
		}
		if len(o.peers) != 1 || o.peers[0].Key != "k1" || len(o.relays) != 1 {
			t.Errorf("the overlay has the peers %+v and relays %+v; want the live node that has joined", o.peers, o.relays)
		}
		if err := w.Put(t.Context(), api.Epoch{Fence: 1, Revision: 9}, spec); api.CodeFrom(err) != api.CodeStale {
			t.Errorf("an older epoch gets %v", err)
		}
		stop()
		if err := w.Put(t.Context(), epoch, spec); api.CodeFrom(err) != api.CodeUnavailable {
			t.Errorf("a worker that has ended answers %v", err)
		}

		// The next one goes on with it, and configures its overlay before anybody asks.
		o = &noOverlay{}
		w, stop = running(t, cache, o)
		synctest.Wait()
		if state, _, _ := w.board.read(); state.Revision != 4 || len(o.peers) != 1 {
			t.Errorf("after a restart: %+v, peers %+v", state, o.peers)
		}
		stop()
	})
}

func TestCacheOfSomebodyElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spec")
	if err := writeCache(path, kept{Spec: api.ManagerSpec{Application: api.ApplicationSpec{ID: 2}}}); err != nil {
		t.Fatal(err)
	}
	w := newWorker(t, path, &noOverlay{})
	w.hub.Close()
	if w.core.spec != nil {
		t.Error("the manager goes by the spec of another application")
	}
}
