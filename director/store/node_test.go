package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

func TestNodeLife(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	a, web := running(t, s, "app")
	made := c.now
	id := reserve(t, s, web, 1)[0].ID
	c.now = c.now.Add(time.Minute)
	change := NodeChange{
		Machine: "i-1", Address: netip.MustParseAddr("10.210.0.4"), Public: netip.MustParseAddr("203.0.113.9"), Runtime: "container",
		Published: map[uint16]string{80: "127.0.0.1:20080"}, CSRKey: "key", BootID: "boot", OverlayKey: "overlay", DataPlane: "userspace",
		Version: "v2", CodeVersion: "v1", Reason: "asked",
	}
	got := step(t, s, id, NodeChange{CodeVersion: "v1"}, life.NodeLaunch)
	if got.State != api.NodeCreating || got.Attempt != 1 || got.MachineToken() != string(id)+"-1" {
		t.Errorf("launched node %+v", got)
	}
	step(t, s, id, change, life.NodeLaunched)
	want := Node{
		ID: id, Application: a.ID, Service: web.ID, Role: "node", Cloud: "default", State: api.NodeBooting, Reason: "asked", Since: c.now, Attempt: 1,
		Machine: "i-1", Address: change.Address, Public: change.Public, Runtime: "container", Published: change.Published,
		Partition: 0, Slot: 1, Overlay: netip.MustParseAddr("10.9.8.1"), CSRKey: "key", BootID: "boot", OverlayKey: "overlay",
		DataPlane: "userspace", Version: "v2", CodeVersion: "v1", Created: made,
	}
	same := cmpopts.EquateComparable(netip.Addr{})
	view(t, s, func(r *Read) error {
		got, err := r.Node(id)
		if d := cmp.Diff(want, got, same); d != "" {
			t.Errorf("booting node (-want +got):\n%s", d)
		}
		return err
	})
	c.now = c.now.Add(time.Minute)
	update(t, s, func(tx *Tx) error {
		return second(tx.UpdateNode(id, NodeChange{BootID: "boot2", Address: netip.MustParseAddr("10.210.0.5")}))
	})
	got = step(t, s, id, NodeChange{}, life.NodeJoined, life.NodeReady, life.NodeDrain, life.NodeDrained)
	want.State, want.Reason, want.Since, want.Drained = api.NodeDraining, "", c.now, true
	want.BootID, want.Address = "boot2", netip.MustParseAddr("10.210.0.5")
	if d := cmp.Diff(want, got, same); d != "" {
		t.Errorf("drained node (-want +got):\n%s", d)
	}
	view(t, s, func(r *Read) error {
		events, _, err := r.Events(a.ID, Page{})
		var kinds []string
		for _, e := range events {
			if e.Node == id && e.Service == web.ID && e.Owner == a.Owner {
				kinds = append(kinds, e.Kind)
			}
		}
		want := []string{"node.wanted", "node.creating", "node.booting", "node.joined", "node.ready", "node.draining", "node.drained"}
		if d := cmp.Diff(want, kinds); d != "" {
			t.Errorf("history (-want +got):\n%s", d)
		}
		return err
	})
	before := lastEvent(t, s)
	step(t, s, id, NodeChange{}, life.NodeDrained, life.NodeReady, life.NodeSilent, life.NodeBack)
	if lastEvent(t, s) != before {
		t.Error("events that change nothing are written into the history")
	}
}

func lastEvent(t *testing.T, s *Store) (last int64) {
	t.Helper()
	if err := s.read.Raw("SELECT max(id) FROM events").Scan(&last).Error; err != nil {
		t.Fatal(err)
	}
	return last
}

func TestStepRefuses(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	_, web := running(t, s, "app")
	nodes := reserve(t, s, web, 3)
	wanted, node, other := nodes[0].ID, ready(t, s, nodes[1].ID).ID, nodes[2].ID
	step(t, s, other, NodeChange{}, life.NodeLaunch)
	for _, test := range []struct {
		name  string
		node  api.NodeID
		event life.NodeEvent
		c     NodeChange
		want  error
	}{
		{"a jump", wanted, life.NodeReady, NodeChange{}, life.ErrTransition},
		{"an unknown node", "n99", life.NodeLaunch, NodeChange{}, ErrNotFound},
		{"a malformed id", "n-1", life.NodeLaunch, NodeChange{}, ErrNotFound},
		{"an id with zeros", "n01", life.NodeLaunch, NodeChange{}, ErrNotFound},
		{"a second machine", node, life.NodeLaunched, NodeChange{Machine: "m-other"}, ErrConflict},
		{"a second key", node, life.NodeJoined, NodeChange{CSRKey: "stolen"}, ErrOtherKey},
		{"a launch without machine", other, life.NodeLaunched, NodeChange{}, ErrConflict},
		{"a join without key", other, life.NodeJoined, NodeChange{}, ErrConflict},
		{"another node's machine", other, life.NodeLaunched, NodeChange{Machine: "m-" + string(node)}, ErrExists},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := nodesOf(t, s, web)
			updateFails(t, s, test.want, func(tx *Tx) error { return second(tx.Step(test.node, test.event, test.c)) })
			if d := cmp.Diff(before, nodesOf(t, s, web), cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Errorf("a refused step changes (-before +after):\n%s", d)
			}
		})
	}
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.ReleaseNode(node) })
	update(t, s, func(tx *Tx) error { return second(tx.UpdateNode(other, NodeChange{Machine: "m-adopted"})) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return second(tx.Step(other, life.NodeRetry, NodeChange{})) })
	step(t, s, wanted, NodeChange{}, life.NodeDelete, life.NodeDeleted)
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return second(tx.UpdateNode(wanted, NodeChange{Machine: "late"})) })
}

func nodesOf(t *testing.T, s *Store, service Service) (nodes []Node) {
	t.Helper()
	view(t, s, func(r *Read) (err error) {
		nodes, err = r.LiveNodes(service.Application)
		return err
	})
	return nodes
}

func TestJoinToken(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	_, web := running(t, s, "app")
	nodes := reserve(t, s, web, 2)
	opens := func(id api.NodeID, token api.Secret) bool {
		err := s.View(t.Context(), func(r *Read) error {
			n, err := r.NodeByJoinToken(id, token)
			if err == nil && n.ID != id {
				t.Errorf("token of %s gives %s", id, n.ID)
			}
			return err
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		return err == nil
	}
	if opens(nodes[0].ID, "") || opens(nodes[0].ID, s.JoinToken(nodes[0])) {
		t.Error("a node can join before its machine is asked for")
	}
	first := step(t, s, nodes[0].ID, NodeChange{}, life.NodeLaunch)
	token := s.JoinToken(first)
	if len(token.Reveal()) != 64 || !opens(first.ID, token) || opens(nodes[1].ID, token) || opens(first.ID, "") || opens("n99", token) {
		t.Error("the token opens the wrong nodes")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, Options{})
	if s.JoinToken(first) != token || !opens(first.ID, token) {
		t.Error("after a restart the token is another")
	}
	step(t, s, first.ID, NodeChange{Reason: "no capacity"}, life.NodeRetry)
	if opens(first.ID, token) {
		t.Error("the token lives after the attempt")
	}
	again := step(t, s, first.ID, NodeChange{}, life.NodeLaunch)
	if again.Attempt != 2 || s.JoinToken(again) == token || opens(first.ID, token) {
		t.Errorf("second attempt: %+v", again)
	}
	step(t, s, first.ID, NodeChange{CSRKey: "k"}, life.NodeJoined, life.NodeReady)
	if !opens(first.ID, s.JoinToken(again)) {
		t.Error("a node that has joined does not get its answer again")
	}
	step(t, s, first.ID, NodeChange{}, life.NodeGiveUp)
	if opens(first.ID, s.JoinToken(again)) {
		t.Error("a node that was given up can join")
	}
	var stored []string
	if err := s.read.Raw("SELECT join_token_hash FROM nodes").Scan(&stored).Error; err != nil || slices.Contains(stored, token.Reveal()) {
		t.Errorf("the database has the token itself (%v)", err)
	}
}

func TestNodeByMachineToken(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	_, web := running(t, s, "app")
	id := reserve(t, s, web, 1)[0].ID
	find := func(token string) error {
		return s.View(t.Context(), func(r *Read) error { return second(r.NodeByMachineToken(token)) })
	}
	if err := find(string(id) + "-0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a machine that nobody asked for: %v", err)
	}
	step(t, s, id, NodeChange{}, life.NodeLaunch, life.NodeRetry, life.NodeLaunch)
	if err := find(string(id) + "-2"); err != nil {
		t.Error(err)
	}
	for _, token := range []string{string(id) + "-1", string(id) + "-02", string(id), "", "-", "n99-1", "x", string(id) + "-2-2"} {
		if err := find(token); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", token, err)
		}
	}
}

func TestNodeLists(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, web := running(t, s, "app")
	b, _ := running(t, s, "other")
	nodes := reserve(t, s, web, 5)
	ready(t, s, nodes[0].ID)
	for i, v := range []string{"v2", "v1", "v2"} {
		step(t, s, nodes[1+i].ID, NodeChange{CodeVersion: v}, life.NodeLaunch)
	}
	step(t, s, nodes[4].ID, NodeChange{CodeVersion: "v0"}, life.NodeDelete, life.NodeDeleted)
	var manager Node
	update(t, s, func(tx *Tx) (err error) {
		manager, err = tx.ReserveManager(a.ID, "elsewhere", Limits{})
		return err
	})
	ids := func(nodes []Node) (ids []api.NodeID) {
		for _, n := range nodes {
			ids = append(ids, n.ID)
		}
		return ids
	}
	alive := append(ids(nodes[:4]), manager.ID)
	view(t, s, func(r *Read) error {
		live, err1 := r.LiveNodes(a.ID)
		cloud, err2 := r.NodesOnCloud("default")
		page, next, err3 := r.NodePage(a.ID, -1, Page{Limit: 3})
		rest, end, err4 := r.NodePage(a.ID, -1, Page{After: next, Limit: 3})
		managers, _, err5 := r.NodePage(a.ID, 0, Page{})
		for what, pair := range map[string][2][]api.NodeID{
			"live": {ids(live), alive}, "on the cloud": {ids(cloud), alive[:4]}, "first page": {ids(page), alive[:3]},
			"second page": {ids(rest), alive[3:]}, "managers": {ids(managers), alive[4:]},
		} {
			if !slices.Equal(pair[0], pair[1]) {
				t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
			}
		}
		if end != 0 {
			t.Errorf("after the last page comes %d", end)
		}
		counts, err6 := r.NodeCounts(a.ID)
		want := map[api.ServiceID]map[api.NodeState]int{0: {api.NodeWanted: 1}, web.ID: {api.NodeReady: 1, api.NodeCreating: 3}}
		if d := cmp.Diff(want, counts); d != "" {
			t.Errorf("counts (-want +got):\n%s", d)
		}
		versions, err7 := r.CodeVersions()
		if !slices.Equal(versions, []string{"v1", "v2"}) {
			t.Errorf("versions in use %v", versions)
		}
		_, _, _, err8 := r.ReachNode(a.Owner, nodes[0].ID)
		if _, _, _, err := r.ReachNode(b.Owner, nodes[0].ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("somebody else's node: %v", err)
		}
		return errors.Join(err1, err2, err3, err4, err5, err6, err7, err8)
	})
}

func TestPageLimits(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	update(t, s, func(tx *Tx) error {
		for i := range 1200 {
			if _, err := tx.AddEvent(Event{Kind: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	for limit, want := range map[int]int{0: 100, -5: 100, 7: 7, 1000: 1000, 5000: 1000} {
		view(t, s, func(r *Read) error {
			page, next, err := r.Events(0, Page{Limit: limit})
			if len(page) != want || next != page[len(page)-1].ID {
				t.Errorf("limit %d gives %d events and next %d", limit, len(page), next)
			}
			return err
		})
	}
}
