package wire

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

func epochRequest(method string, e api.Epoch) *http.Request {
	r := httptest.NewRequest(method, "/v1/spec", nil)
	WithEpoch(e)(r)
	return r
}

func openGuard(t *testing.T, path string) *Guard {
	t.Helper()
	g, err := OpenGuard(path)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuardOrders(t *testing.T) {
	at := api.Epoch{Fence: 5, Incarnation: 5, Revision: 5}
	for _, test := range []struct {
		method string
		epoch  api.Epoch
		code   api.Code
		now    api.Epoch
	}{
		{"PUT", at, "", at},
		{"PUT", api.Epoch{Fence: 5, Incarnation: 5, Revision: 6}, "", api.Epoch{Fence: 5, Incarnation: 5, Revision: 6}},
		{"PUT", api.Epoch{Fence: 5, Incarnation: 6, Revision: 0}, "", api.Epoch{Fence: 5, Incarnation: 6}},
		{"PATCH", api.Epoch{Fence: 6}, "", api.Epoch{Fence: 6}},
		{"PUT", api.Epoch{Fence: 5, Incarnation: 5, Revision: 4}, api.CodeStale, at},
		{"DELETE", api.Epoch{Fence: 5, Incarnation: 4, Revision: 9}, api.CodeStale, at},
		{"PUT", api.Epoch{Fence: 4, Incarnation: 9, Revision: 9}, api.CodeStale, at},
		{"GET", api.Epoch{Fence: 4, Incarnation: 9, Revision: 9}, api.CodeStale, at},
		{"POST", api.Epoch{Fence: 5, Incarnation: 4, Revision: 9}, api.CodeStale, at},
		{"GET", api.Epoch{Fence: 5, Incarnation: 5, Revision: 4}, "", at},
		{"POST", api.Epoch{Fence: 5, Incarnation: 5, Revision: 9}, "", at},
		{"GET", api.Epoch{Fence: 5, Incarnation: 6, Revision: 9}, "", api.Epoch{Fence: 5, Incarnation: 6}},
	} {
		path := filepath.Join(t.TempDir(), "epoch")
		g := openGuard(t, path)
		if _, err := g.Check(epochRequest("PUT", at)); err != nil {
			t.Fatal(err)
		}
		got, err := g.Check(epochRequest(test.method, test.epoch))
		if api.CodeFrom(err) != test.code || got != test.epoch {
			t.Errorf("%s %+v: got %+v, %v", test.method, test.epoch, got, err)
		}
		if now := g.Current(); now != test.now {
			t.Errorf("%s %+v: the epoch is now %+v, want %+v", test.method, test.epoch, now, test.now)
		}
		if kept := openGuard(t, path).Current(); kept != test.now {
			t.Errorf("%s %+v: the file has %+v, want %+v", test.method, test.epoch, kept, test.now)
		}
	}
}

func TestGuardProperty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "epoch")
	rapid.Check(t, func(rt *rapid.T) {
		for _, name := range (&Guard{path: path}).files() {
			os.Remove(name)
		}
		g := openGuard(t, path)
		var highest api.Epoch
		for range rapid.IntRange(1, 6).Draw(rt, "calls") {
			small := rapid.Uint64Range(0, 2)
			e := api.Epoch{Fence: small.Draw(rt, "fence"), Incarnation: small.Draw(rt, "incarnation"), Revision: small.Draw(rt, "revision")}
			_, err := g.Check(epochRequest("PUT", e))
			if (err == nil) != (e.Compare(highest) >= 0) {
				rt.Fatalf("%+v after %+v: %v", e, highest, err)
			}
			if err == nil {
				highest = e
			}
			if rapid.Bool().Draw(rt, "reopen") {
				g = openGuard(t, path)
			}
		}
	})
}

func TestGuardHeaders(t *testing.T) {
	g := openGuard(t, filepath.Join(t.TempDir(), "epoch"))
	for name, value := range map[string]string{
		api.HeaderProtocol: "x", api.HeaderFence: "-1", api.HeaderIncarnation: "x", api.HeaderRevision: "",
	} {
		r := epochRequest("PUT", api.Epoch{Fence: 1})
		r.Header.Set(name, value)
		if _, err := g.Check(r); api.CodeFrom(err) != api.CodeInvalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s %q: got %v", name, value, err)
		}
	}
	newer := epochRequest("PUT", api.Epoch{Fence: 1})
	newer.Header.Set(api.HeaderProtocol, "2")
	if _, err := g.Check(newer); api.CodeFrom(err) != api.CodeProtocol || !strings.Contains(err.Error(), "protocol 1, and the call is of protocol 2") {
		t.Errorf("a newer parent: got %v", err)
	}
	if _, err := g.Check(httptest.NewRequest("GET", "/", nil)); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("no headers at all: got %v", err)
	}
	if got := g.Current(); got != (api.Epoch{}) {
		t.Errorf("refused calls have raised the epoch to %+v", got)
	}
}

// A revision may be lost with the power; who is the parent may not.
func TestGuardLosesNoParentWithARevision(t *testing.T) {
	path := filepath.Join(t.TempDir(), "epoch")
	g := openGuard(t, path)
	parent, later := api.Epoch{Fence: 2, Incarnation: 1, Revision: 3}, api.Epoch{Fence: 2, Incarnation: 1, Revision: 4}
	for _, e := range []api.Epoch{parent, later} {
		if _, err := g.Check(epochRequest("PUT", e)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if got := openGuard(t, path).Current(); got != parent {
		t.Errorf("the guard has %+v, want %+v", got, parent)
	}
}

func TestGuardAndDamagedFiles(t *testing.T) {
	first, second := api.Epoch{Fence: 1}, api.Epoch{Fence: 2}
	for _, test := range []struct {
		name   string
		damage func(path string) error
		want   api.Epoch
		fails  bool
	}{
		{"none", func(string) error { return nil }, second, false},
		{"main torn", func(p string) error { return os.Truncate(p, 20) }, second, false},
		{"main empty", func(p string) error { return os.Truncate(p, 0) }, second, false},
		{"second torn", func(p string) error { return os.Truncate(p+".second", 20) }, second, false},
		{"main gone", os.Remove, second, false},
		{"main is older", func(p string) error { return os.Rename(p+".old", p) }, second, false},
		{"both torn", func(p string) error {
			os.Truncate(p, 20)
			return os.Truncate(p+".second", 20)
		}, api.Epoch{}, true},
		{"only a torn one", func(p string) error {
			os.Remove(p)
			return os.Truncate(p+".second", 0)
		}, api.Epoch{}, true},
		{"changed by hand", func(p string) error {
			os.Remove(p)
			return os.WriteFile(p+".second", []byte(`{"fence":0,"incarnation":0,"revision":0} 00`), 0o600)
		}, api.Epoch{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "epoch")
			g := openGuard(t, path)
			for _, e := range []api.Epoch{first, second} {
				if _, err := g.Check(epochRequest("PUT", e)); err != nil {
					t.Fatal(err)
				}
				if e == first {
					if text, err := os.ReadFile(path); err != nil || os.WriteFile(path+".old", text, 0o600) != nil {
						t.Fatal(err)
					}
				}
			}
			if err := test.damage(path); err != nil {
				t.Fatal(err)
			}
			again, err := OpenGuard(path)
			if (err != nil) != test.fails {
				t.Fatalf("open: %v", err)
			}
			if err == nil && again.Current() != test.want {
				t.Errorf("got %+v, want %+v", again.Current(), test.want)
			}
		})
	}
}

// An epoch that cannot be kept must not be accepted: after a restart the deposed parent would be let in.
func TestGuardThatCannotWrite(t *testing.T) {
	g := openGuard(t, filepath.Join(t.TempDir(), "no such directory", "epoch"))
	if _, err := g.Check(epochRequest("PUT", api.Epoch{Fence: 1})); err == nil || g.Current() != (api.Epoch{}) {
		t.Errorf("got %v, epoch %+v", err, g.Current())
	}
}

func TestGuardMiddleware(t *testing.T) {
	w := newWorld(t)
	a := w.api(nobodyKnown)
	Register(a, Route{Method: "PUT", Path: "/v1/spec", ID: "put-spec"}, anyone,
		func(ctx context.Context, _ *noInput) (*thingOutput, error) {
			return &thingOutput{Body: thing{Name: RequestID(ctx)}}, nil
		})
	g := openGuard(t, filepath.Join(t.TempDir(), "epoch"))
	client := w.client(w.serve(g.Middleware(a.Handler())))
	put := func(e api.Epoch, id string) (thing, error) {
		return Call[thing](WithRequestID(t.Context(), id), client, "PUT", "/v1/spec", nil, WithEpoch(e))
	}
	if got, err := put(api.Epoch{Fence: 2}, "first"); err != nil || got.Name != "first" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err := put(api.Epoch{Fence: 1}, "zombie")
	stale, ok := err.(*api.Error)
	if !ok || stale.Code != api.CodeStale || stale.Status != 409 || stale.RequestID != "zombie" || stale.Retry {
		t.Errorf("a deposed parent gets %+v", err)
	}
}
