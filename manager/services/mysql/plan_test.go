package mysql

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"conpaas/client/api"
)

// settled gives a world in which a service of this size serves.
func settled(t *testing.T, servers, proxies int) *world {
	t.Helper()
	w := newWorld()
	w.Spec.Nodes = map[api.Role]int{api.RoleMySQL: servers, api.RoleGLB: proxies}
	w.quiet()
	if err := w.done(); err != nil {
		t.Fatal(err, w.Said)
	}
	w.Said = nil
	return w
}

func TestConfigurations(t *testing.T) {
	w := settled(t, 2, 1)
	server := w.Machines["n1"].runs.server
	if server == nil || server.Listen.Port() != 3307 || server.Check.Port() != 9200 || server.Password != "secret" || server.Cluster != "conpaas-s1" && server.Cluster != "conpaas-1" || server.Bootstrap != 0 || !server.Start {
		t.Errorf("the server is %+v", server)
	}
	if want := []netip.Addr{w.Machines["n1"].Info.Overlay, w.Machines["n2"].Info.Overlay}; !slices.Equal(server.Members, want) {
		t.Errorf("its cluster has the members %v, want %v", server.Members, want)
	}
	kind, _ := api.FindServiceKind(api.MySQL)
	for _, s := range kind.Settings {
		if value, ok := server.Settings[s.Name]; s.Name != "spread" && s.Name != api.VolumeSize && (!ok || value != s.Default) {
			t.Errorf("setting %s is %q, want %q", s.Name, value, s.Default)
		}
	}
	var proxy *api.MySQLProxyConfig
	for _, b := range w.Living() {
		if b.Info.Role == api.RoleGLB {
			proxy = b.runs.proxy
		} else if b.runs.proxy != nil {
			t.Errorf("%s takes connections beside the machine of role glb", b.Info.ID)
		}
	}
	if proxy == nil || proxy.Listen.Port() != 3306 || len(proxy.Servers) != 2 || proxy.Servers[0].Node != "n1" || proxy.Servers[0].Address != server.Listen || proxy.Check != 9200 || proxy.Spread {
		t.Errorf("the proxy is %+v", proxy)
	}
	if len(w.Plan.Endpoints) > 0 || len(w.Plan.Nodes["n1"].Expose) > 0 {
		t.Error("it is published outside")
	}
	w.Spec.Settings = map[string]string{"spread": "On", "max_connections": "99"}
	w.quiet()
	if w.Machines["n1"].runs.server.Settings["max_connections"] != "99" {
		t.Error("a setting has not come")
	}
}

// Machines join one after another: the second only when the first has the data.
func TestMachinesJoinInTurn(t *testing.T) {
	w := settled(t, 1, 0)
	w.Spec.Nodes[api.RoleMySQL] = 4
	w.push()
	w.direct()
	for _, b := range w.Living() {
		w.Boot(b)
		w.Connect(b)
	}
	started := func() (n int) {
		for range 3 {
			w.push()
			for _, b := range w.Living() {
				w.apply(b, false)
				w.Report(b)
			}
		}
		for _, b := range w.Living() {
			if b.told {
				n++
			}
		}
		return n
	}
	for want := 2; want <= 4; {
		if n := started(); n > want {
			t.Fatalf("%d servers were started, want %d", n, want)
		}
		for _, b := range w.Living() {
			w.launch(b)
		}
		w.gather()
		for _, b := range w.Living() {
			w.Report(b)
		}
		want = min(want*2, want+2) // as many more as there are machines that give them the data
	}
}

// A machine ends its database after the proxies have left it, and only while one that stays has the data.
func TestMachinesLeave(t *testing.T) {
	w := settled(t, 3, 1)
	w.crash(w.Machines["n1"]) // the only one that is to stay
	w.Report(w.Machines["n1"])
	w.Spec.Nodes[api.RoleMySQL] = 1
	for range 5 {
		w.push()
		w.direct()
		for _, b := range w.Living() {
			for len(b.Sent) > 0 {
				w.apply(b, false)
			}
			w.Report(b)
		}
	}
	for _, id := range []api.NodeID{"n2", "n3"} {
		if b := w.Machines[id]; b == nil || !b.primary() {
			t.Fatalf("%s has gone, and no machine has the data", id)
		}
	}
	w.quiet()
	if err := w.done(); err != nil {
		t.Fatal(err)
	}
	unused, ended := -1, -1
	for i, line := range w.Said {
		if strings.HasPrefix(line, "n4 applies glb n1") && !strings.Contains(line, "n2") && unused < 0 {
			unused = i
		}
		if line == "n2 applies " && ended < 0 {
			ended = i
		}
	}
	if unused < 0 || ended < unused {
		t.Errorf("n2 has ended at %d, the proxy has left it at %d:\n%s", ended, unused, strings.Join(w.Said, "\n"))
	}
}

// A machine that goes takes no connections for its last moments, though no machine of role glb does any more.
func TestMachinesThatGoBeginNothing(t *testing.T) {
	w := settled(t, 3, 1)
	w.Spec.Nodes = map[api.Role]int{api.RoleMySQL: 1, api.RoleGLB: 0}
	w.quiet()
	if err := w.done(); err != nil {
		t.Fatal(err)
	}
	for _, line := range w.Said {
		if strings.Contains(line, "glb") && (strings.HasPrefix(line, "send n2:") || strings.HasPrefix(line, "send n3:")) {
			t.Error(line)
		}
	}
}

// Machines that go end their databases one after another.
func TestMachinesLeaveInTurn(t *testing.T) {
	w := settled(t, 4, 0)
	w.Spec.Nodes[api.RoleMySQL] = 1
	w.push()
	w.direct()
	for left := 4; left > 1; left-- {
		for range 5 { // as far as it goes while nobody ends
			w.push()
			for _, b := range w.Living() {
				if len(b.Sent) > 0 && decode(b.Sent[0].Config).server != nil {
					w.apply(b, false)
				}
				w.Report(b)
			}
		}
		ending := slices.DeleteFunc(w.Living(), func(b *box) bool { return len(b.Sent) == 0 })
		if len(ending) != 1 || len(w.Living()) != left {
			t.Fatalf("%d of %d machines are told to end: %s", len(ending), left, strings.Join(w.Said, "\n"))
		}
		w.apply(ending[0], false)
		w.Report(ending[0])
		w.push()
		w.direct()
	}
	w.quiet()
	if err := w.done(); err != nil {
		t.Fatal(err)
	}
}

// A machine that has ended its database is needed again when the one that stays is lost before it is removed.
func TestTheLastThatHasTheData(t *testing.T) {
	w := settled(t, 2, 0)
	w.Spec.Nodes[api.RoleMySQL] = 1
	leaving := w.Machines["n2"]
	for range 3 {
		w.push()
		w.Plan.Delete = nil // the director is slow
		w.direct()
		for _, b := range w.Living() {
			for len(b.Sent) > 0 {
				w.apply(b, false)
			}
			w.Report(b)
		}
	}
	if leaving.process {
		t.Fatal("it has not ended its database", w.Said)
	}
	first := w.Machines["n1"]
	w.crash(first)
	first.changes-- // it had not written down the last change
	w.Report(first)
	w.quiet()
	if err := w.done(); err != nil {
		t.Fatal(err, w.Said)
	}
	if first.changes != leaving.changes || w.Machines["n2"] != nil {
		t.Errorf("the data has %d changes, %d were acknowledged: %s", first.changes, leaving.changes, strings.Join(w.Said, "\n"))
	}
}

func TestChoose(t *testing.T) {
	w := settled(t, 3, 1)
	choose := func(action string) (api.NodeID, error) { return Half{}.Choose(w.Input(), action) }
	if id, err := choose(api.MySQLDump); err != nil || id != "n3" {
		t.Errorf("a dump is made by %s, %v", id, err)
	}
	if id, err := choose(api.MySQLLoadDump); err != nil || id != "n1" {
		t.Errorf("a dump is loaded by %s, %v", id, err)
	}
	if _, err := choose("fly"); api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("an unknown action: %v", err)
	}
	for _, b := range w.Living() {
		w.crash(b)
	}
	for _, b := range w.Living() {
		w.Report(b)
	}
	if _, err := choose(api.MySQLDump); api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("without a database: %v", err)
	}
}
