package hosting

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

// settled gives a world in which a service of this size serves.
func settled(t *testing.T, proxies, webs, backends int) *world {
	t.Helper()
	w := newWorld()
	w.Spec.Nodes = map[api.Role]int{api.RoleProxy: proxies, api.RoleWeb: webs, api.RoleBackend: backends}
	w.quiet()
	if err := w.end(); err != nil {
		t.Fatal(err, w.Said)
	}
	w.Said = nil
	return w
}

// of gives the machines of a role, oldest first.
func (w *world) of(r api.Role) (out []*box) {
	for _, id := range w.IDs() {
		if b := w.Machines[id]; b.Info.Role == r {
			out = append(out, b)
		}
	}
	return out
}

// sends gives what was sent, in order.
func (w *world) sends() (out []string) {
	for _, line := range w.Said {
		if text, ok := strings.CutPrefix(line, "send "); ok {
			out = append(out, strings.TrimSpace(text))
		}
	}
	return out
}

// A new packed service is one spec for one machine, and it is RUNNING then.
func TestPacked(t *testing.T) {
	w := newWorld()
	w.Spec.Settings = map[string]string{"memory_limit": "64M"}
	w.quiet()
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	want := []string{"n1: proxy code-default [n1] web [code-default] [n1] backend [code-default]"}
	if diff := cmp.Diff(want, w.sends()); diff != "" {
		t.Error(diff)
	}
	overlay := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(w.Machines["n1"].Info.Overlay, port) }
	store := api.SessionsStore{Listen: overlay(6379), Password: "secret"}
	same := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	got := w.Machines["n1"].runs
	code := []api.CodeBlob{{ID: api.CodeDefault}}
	settings := map[string]string{}
	kind, _ := api.FindServiceKind(api.PHP)
	for _, s := range kind.Settings {
		settings[s.Name] = s.Default
	}
	settings["memory_limit"] = "64M"
	for _, pair := range [][2]any{
		{&api.HostingProxyConfig{Port: 80, Version: api.CodeDefault, Webs: []api.Server{{Node: "n1", Address: overlay(8080)}}, Sessions: &store}, got.proxy},
		{&api.HostingWebConfig{Listen: overlay(8080), Versions: code, Backends: []api.Server{{Node: "n1", Address: overlay(9000)}}, Patience: 300}, got.web},
		{&api.HostingBackendConfig{Listen: overlay(9000), Versions: code, Settings: settings, Sessions: store, Patience: 300}, got.backend},
	} {
		if diff := cmp.Diff(pair[0], pair[1], same); diff != "" {
			t.Error(diff)
		}
	}
	c := w.Plan.Nodes["n1"]
	if !slices.Equal(c.Expose, []uint16{80}) || len(c.Blobs) > 0 {
		t.Errorf("the machine is open at %v and needs %v", c.Expose, c.Blobs)
	}
}

// Two backends more than none are two machines: the role leaves the first proxy, after they serve. They all leave again in
// the opposite order.
func TestRoleLeavesTheFirstProxy(t *testing.T) {
	w := settled(t, 1, 0, 0)
	w.Spec.Nodes[api.RoleBackend] = 2
	w.quiet()
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"n2: backend [code-default]", "n3: backend [code-default]",
		"n1: proxy code-default [n1] web [code-default] [n2 n3] backend [code-default]",
		"n1: proxy code-default [n1] web [code-default] [n2 n3] backend [code-default] drain",
		"n1: proxy code-default [n1] web [code-default] [n2 n3]",
	}
	if diff := cmp.Diff(want, w.sends()); diff != "" {
		t.Error(diff)
	}
	w.Said = nil
	w.Spec.Nodes[api.RoleBackend] = 0
	w.quiet()
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	want = []string{
		"n1: proxy code-default [n1] web [code-default] [n2 n3] backend [code-default]",
		"n1: proxy code-default [n1] web [code-default] [n1] backend [code-default]",
		"n2: backend [code-default] drain", "n3: backend [code-default] drain",
	}
	if diff := cmp.Diff(want, w.sends()); diff != "" {
		t.Error(diff)
	}
}

// The newest machines go, and only after nobody uses them.
func TestFewerBackends(t *testing.T) {
	w := settled(t, 1, 1, 3)
	all := w.of(api.RoleBackend)
	w.Spec.Nodes[api.RoleBackend] = 1
	w.push()
	if w.Plan.State != api.StateAdapting || len(w.Plan.Delete) > 0 || !slices.Equal(w.Plan.Drain, []api.NodeID{all[1].Info.ID, all[2].Info.ID}) {
		t.Errorf("the plan says %s, drain %v, delete %v", w.Plan.State, w.Plan.Drain, w.Plan.Delete)
	}
	w.direct()
	for _, b := range all[1:] {
		if got := decodeOf(w, b); got.backend.Drain {
			t.Errorf("%s is drained while the web uses it", b.Info.ID)
		}
	}
	for _, user := range []*box{w.of(api.RoleWeb)[0], w.of(api.RoleProxy)[0]} { // the proxy is told whose locks there may be
		w.apply(user)
		w.Report(user)
	}
	w.think()
	for _, b := range all[1:] {
		if got := decodeOf(w, b); !got.backend.Drain {
			t.Errorf("%s is not drained though nobody uses it", b.Info.ID)
		}
	}
	w.quiet()
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if left := w.of(api.RoleBackend); len(left) != 1 || left[0] != all[0] {
		t.Errorf("%v are left", left)
	}
}

func decodeOf(w *world, b *box) *order { return decode(w.Plan.Nodes[b.Info.ID]) }

// All proxies change in one wave, once the last server has checked the version.
func TestVersionInOneWave(t *testing.T) {
	w := settled(t, 2, 1, 2)
	w.enable(false)
	w.push()
	servers := append(w.of(api.RoleBackend), w.of(api.RoleWeb)...)
	for i, b := range servers {
		w.apply(b)
		for w.work(b) {
		}
		w.push()
		for _, p := range w.of(api.RoleProxy) {
			if got := decodeOf(w, p).proxy.Version; got != api.CodeDefault {
				t.Fatalf("after %d of %d servers %s is to give %s", i, len(servers), p.Info.ID, got)
			}
		}
		if w.Plan.State != api.StateAdapting || w.Plan.Code.Serving != api.CodeDefault {
			t.Errorf("meanwhile the plan says %s, %+v", w.Plan.State, w.Plan.Code)
		}
		w.Report(b)
	}
	w.Said = nil
	w.push()
	proxies := w.of(api.RoleProxy)
	if sent := w.sends(); len(sent) != 2 || !strings.Contains(sent[0], "proxy code-1") || !strings.Contains(sent[1], "proxy code-1") {
		t.Errorf("sent is %v", sent)
	}
	w.apply(proxies[0])
	w.Report(proxies[0])
	w.think()
	if w.Plan.Code.Serving != "" || w.Plan.State != api.StateAdapting {
		t.Errorf("while the proxies differ the plan says %s, %+v", w.Plan.State, w.Plan.Code)
	}
	if want := []string{"sum-code-1"}; !slices.Equal(w.Plan.Nodes[servers[0].Info.ID].Blobs, want) {
		t.Errorf("a server needs %v, want %v", w.Plan.Nodes[servers[0].Info.ID].Blobs, want)
	}
	w.quiet()
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// A version that one node refuses is given to nobody, and the plan says who has refused it.
func TestRefusedVersion(t *testing.T) {
	w := settled(t, 1, 0, 2)
	w.enable(true)
	w.push()
	last := w.of(api.RoleBackend)[1]
	for _, id := range w.IDs() {
		b := w.Machines[id]
		w.broken["code-1"] = b == last
		w.apply(b)
		for w.work(b) {
		}
		w.Report(b)
	}
	w.push()
	want := api.CodeStatus{Serving: api.CodeDefault, Refused: "code-1", Reason: string(last.Info.ID) + ": broken"}
	if *w.Plan.Code != want || w.Plan.State != api.StateRunning {
		t.Errorf("the plan says %s (%s), %+v; want RUNNING, %+v", w.Plan.State, w.Plan.Reason, w.Plan.Code, want)
	}
	w.broken["code-1"] = true
	w.quiet()
	if err := w.end(); err != nil || w.Spec.Code.Wanted != api.CodeDefault {
		t.Errorf("%v, wanted is %s", err, w.Spec.Code.Wanted)
	}
}

// A silent backend is used no longer as soon as it is silent, and again when it is back; the only one is used whatever it
// says. When all are silent the way to the manager is rather what is broken.
func TestSilentBackends(t *testing.T) {
	for _, test := range []struct {
		silent, backends int
		lasting          bool
		want             int
	}{
		{1, 3, false, 2}, {1, 2, false, 1}, {2, 3, false, 3}, {2, 3, true, 1}, {3, 3, true, 3}, {1, 1, true, 1},
	} {
		w := settled(t, 1, 1, test.backends)
		for _, b := range w.of(api.RoleBackend)[:test.silent] {
			b.Connected, b.Serving = false, !test.lasting
		}
		w.think()
		if got := names(decodeOf(w, w.of(api.RoleWeb)[0]).web.Backends); len(got) != test.want {
			t.Errorf("%+v: the web uses %v", test, got)
		}
		if len(w.Plan.Drain)+len(w.Plan.Delete) > 0 || w.Plan.Wanted[api.RoleBackend] != test.backends {
			t.Errorf("%+v: drain %v, delete %v, wanted %v", test, w.Plan.Drain, w.Plan.Delete, w.Plan.Wanted)
		}
		w.quiet()
		if err := w.end(); err != nil || len(w.of(api.RoleBackend)) != test.backends {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestSilentWeb(t *testing.T) {
	w := settled(t, 2, 2, 1)
	webs := w.of(api.RoleWeb)
	webs[0].Connected = false
	w.think()
	for _, p := range w.of(api.RoleProxy) {
		if got := names(decodeOf(w, p).proxy.Webs); !slices.Equal(got, []api.NodeID{webs[1].Info.ID}) {
			t.Errorf("%s uses %v", p.Info.ID, got)
		}
	}
	w.Connect(webs[0])
	w.think()
	if got := names(decodeOf(w, w.of(api.RoleProxy)[0]).proxy.Webs); len(got) != 2 {
		t.Errorf("after it is back only %v are used", got)
	}
}

// A server that takes over a new configuration stays in use.
func TestStartingServerStays(t *testing.T) {
	w := settled(t, 1, 2, 2)
	w.of(api.RoleBackend)[0].up[api.RoleBackend] = false
	w.of(api.RoleWeb)[0].up[api.RoleWeb] = false
	for _, id := range w.IDs() {
		w.Report(w.Machines[id])
	}
	before := w.Pushes
	w.push()
	if w.Pushes != before || w.Plan.State != api.StateAdapting {
		t.Errorf("%v are sent, the plan says %s", w.sends(), w.Plan.State)
	}
}

// When the machine of the first proxy is lost the oldest of the others keeps the sessions, else the new one.
func TestFirstProxyIsLost(t *testing.T) {
	for _, proxies := range []int{1, 2} {
		w := settled(t, proxies, 1, 1)
		first := w.of(api.RoleProxy)[0]
		w.Lose(first)
		w.push()
		if got := decodeOf(w, first); got.proxy.Sessions == nil {
			t.Error("a silent first proxy is no longer the first")
		}
		w.quiet()
		if err := w.end(); err != nil {
			t.Error(err)
		}
		next := w.of(api.RoleProxy)[0]
		want := netip.AddrPortFrom(next.Info.Overlay, 6379)
		if got := w.of(api.RoleBackend)[0].runs.backend.Sessions; next == first || got.Listen != want || got.Password != "secret" {
			t.Errorf("the sessions are at %v, want %v", got.Listen, want)
		}
	}
}

// A new manager, which knows nothing yet, disturbs nobody while the agents come back one after another.
func TestRestartDisturbsNobody(t *testing.T) {
	for _, size := range [][3]int{{1, 0, 0}, {1, 0, 3}, {2, 2, 3}} {
		w := settled(t, size[0], size[1], size[2])
		w.restart()
		before := w.Pushes
		for range w.Machines {
			w.push()
			for _, id := range w.IDs() {
				if b := w.Machines[id]; !b.Connected {
					w.Connect(b)
					break
				}
			}
		}
		w.push()
		if w.Pushes != before || w.Plan.State != api.StateRunning {
			t.Errorf("%v: %v are sent, the plan says %s (%s)", size, w.sends(), w.Plan.State, w.Plan.Reason)
		}
	}
}

// The first proxy knows whose locks of sessions are whose; where two machines have one name nobody does. Patience is what
// the type makes of the settings.
func TestHoldersAndPatience(t *testing.T) {
	w := settled(t, 1, 0, 0)
	w.Spec.Nodes[api.RoleBackend] = 2
	w.Spec.Settings = map[string]string{"max_execution_time": "300"}
	w.quiet()
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	first := w.Machines["n1"].runs
	var want []api.LockHolder
	for _, id := range []api.NodeID{"n2", "n3"} {
		want = append(want, api.LockHolder{Address: w.Machines[id].Info.Overlay, Name: "host-of-" + string(id)})
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, first.proxy.Holders, same); diff != "" {
		t.Error(diff)
	}
	if a, b := first.web.Patience, w.Machines["n2"].runs.backend.Patience; a != 3000 || b != 3000 {
		t.Errorf("programs may say nothing for %d and %d seconds, want 3000", a, b)
	}
	for _, name := range []string{"host-of-n2", "x y", ""} {
		in := w.Input()
		for i, n := range in.Nodes {
			if n.ID != "n3" {
				continue
			}
			status := *n.Status
			status.Roles = slices.Clone(status.Roles)
			for j := range status.Roles {
				var facts api.HostingFacts
				if err := json.Unmarshal(status.Roles[j].Facts, &facts); err != nil {
					t.Fatal(err)
				}
				facts.Host = name
				status.Roles[j].Facts, _ = json.Marshal(facts)
			}
			in.Nodes[i].Status = &status
		}
		got := decode(half.Plan(in).Nodes["n1"]).proxy.Holders
		left := want[:1]
		if name == "host-of-n2" {
			left = nil
		}
		if diff := cmp.Diff(left, got, same); diff != "" {
			t.Errorf("n3 calls itself %q: %s", name, diff)
		}
	}
}
