package hosting

import (
	"slices"
	"testing"

	"conpaas/client/api"
)

// all has a machine apply everything that it was sent, and say so.
func (w *world) all(machines ...*box) {
	for _, b := range machines {
		for len(b.Sent) > 0 {
			w.apply(b)
		}
		for w.work(b) {
		}
		w.Report(b)
	}
}

// halfway gives a world of two proxies of which the first gives a new version that all servers have checked, and the
// second was sent it and has not applied it.
func halfway(t *testing.T) *world {
	t.Helper()
	w := settled(t, 2, 1, 1)
	w.enable(false)
	w.push()
	w.all(append(w.of(api.RoleWeb), w.of(api.RoleBackend)...)...)
	w.push()
	proxies := w.of(api.RoleProxy)
	w.all(proxies[0])
	if w.Err != nil || proxies[0].runs.proxy.Version != "code-1" || len(proxies[1].Sent) != 1 {
		t.Fatal(w.Err, w.Said)
	}
	return w
}

// A version that its owner has taken back stays on the servers until no proxy gives it, or may be about to.
func TestVersionStaysWhileItIsGiven(t *testing.T) {
	w := halfway(t)
	w.setCode(api.CodeDefault, api.CodeDefault)
	w.push()
	servers, proxies := append(w.of(api.RoleWeb), w.of(api.RoleBackend)...), w.of(api.RoleProxy)
	for _, b := range servers {
		if len(b.Sent) > 0 || !slices.Equal(w.Plan.Nodes[b.Info.ID].After, []api.NodeID{proxies[0].Info.ID, proxies[1].Info.ID}) {
			t.Errorf("%s was sent %v and waits for %v", b.Info.ID, b.Sent, w.Plan.Nodes[b.Info.ID].After)
		}
	}
	for i, p := range proxies {
		w.all(p)
		w.push()
		for _, b := range servers {
			if told := len(b.Sent) > 0; told != (i == len(proxies)-1) {
				t.Errorf("after %d of %d proxies %s is told: %v", i+1, len(proxies), b.Info.ID, told)
			}
		}
	}
	w.quiet()
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// A new server without a version that a proxy may be about to give is not used yet.
func TestNewServerWaitsForWhatIsUnderWay(t *testing.T) {
	w := halfway(t)
	w.setCode(api.CodeDefault, api.CodeDefault)
	w.Spec.Nodes[api.RoleBackend] = 2
	w.push()
	w.all(w.of(api.RoleProxy)[0]) // gives the old version again; the other one is still to apply both
	added := w.Add(api.RoleBackend)
	w.Boot(added)
	w.Connect(added)
	w.push()
	w.all(added)
	web := w.of(api.RoleWeb)[0]
	for _, late := range []bool{true, false} {
		w.push()
		if used := slices.Contains(names(decodeOf(w, web).web.Backends), added.Info.ID); used == late {
			t.Errorf("%s is used: %v, while the second proxy is late: %v", added.Info.ID, used, late)
		}
		w.all(w.of(api.RoleProxy)[1])
	}
	w.quiet()
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// A backend that a web was told of, and then is to go, is not drained before the web has applied that it goes.
func TestBackendOfAWebThatLagsBehind(t *testing.T) {
	w := settled(t, 1, 1, 1)
	w.Spec.Nodes[api.RoleBackend] = 2
	w.direct()
	added := w.of(api.RoleBackend)[1]
	w.Boot(added)
	w.Connect(added)
	w.push()
	w.all(added)
	w.push() // the web is sent the new backend
	w.Spec.Nodes[api.RoleBackend] = 1
	w.direct()
	web := w.of(api.RoleWeb)[0]
	for lag := len(web.Sent); lag > 0; lag = len(web.Sent) {
		w.push()
		if decodeOf(w, added).backend.Drain || !slices.Contains(w.Plan.Drain, added.Info.ID) {
			t.Fatalf("%s is drained though the web may use it; drain %v", added.Info.ID, w.Plan.Drain)
		}
		w.apply(web)
		w.Report(web)
	}
	for proxy := w.of(api.RoleProxy)[0]; len(proxy.Sent) > 0; { // it is told whose locks there may be
		w.apply(proxy)
		w.Report(proxy)
	}
	w.think()
	if !decodeOf(w, added).backend.Drain {
		t.Error("it is not drained in the end")
	}
	w.quiet()
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// The role of the first proxy that was told to end is not built on, though it still says that it is ready.
func TestRoleThatIsToldToEnd(t *testing.T) {
	w := settled(t, 1, 0, 1)
	first := w.of(api.RoleProxy)[0]
	w.Spec.Nodes[api.RoleWeb] = 1
	w.direct()
	web := w.of(api.RoleWeb)[0]
	w.Boot(web)
	w.Connect(web)
	w.push()
	w.all(web)
	w.push()
	w.all(first) // uses the new web, and still is one itself
	w.push()
	if got := decode(first.Sent[0].Config); got.web != nil {
		t.Fatalf("the first proxy is sent %s, want the end of the packed role", got)
	}
	w.Spec.Nodes[api.RoleWeb] = 0
	w.push()
	if got := names(decodeOf(w, first).proxy.Webs); !slices.Equal(got, []api.NodeID{web.Info.ID}) {
		t.Errorf("the proxy is to use %v, and its own nginx may be about to end", got)
	}
	w.quiet()
	if err := w.end(); err != nil {
		t.Error(err)
	}
}
