package store

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

func TestAddressesAreReusedOnlyWhenReleased(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	_, web := running(t, s, "app")
	slots := func(nodes []Node) (slots []int) {
		for _, n := range nodes {
			slots = append(slots, n.Slot)
		}
		return slots
	}
	first := reserve(t, s, web, 3)
	if got := slots(first); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("slots %v", got)
	}
	joined := ready(t, s, first[0].ID)
	step(t, s, joined.ID, NodeChange{}, life.NodeDelete, life.NodeDeleted)
	step(t, s, first[1].ID, NodeChange{}, life.NodeDelete, life.NodeDeleted) // it never joined: nobody knows it
	if got := slots(reserve(t, s, web, 2)); !slices.Equal(got, []int{2, 4}) {
		t.Errorf("slots %v, want the one nobody knew and the next", got)
	}
	view(t, s, func(r *Read) error {
		_, waiting, err := r.HeldNodes(web.Application)
		if len(waiting) != 1 || waiting[0].ID != joined.ID {
			t.Errorf("nodes that wait for release: %+v", waiting)
		}
		return err
	})
	update(t, s, func(tx *Tx) error { return tx.ReleaseNode(joined.ID) })
	if got := slots(reserve(t, s, web, 1)); !slices.Equal(got, []int{1}) {
		t.Errorf("slots %v, want the released one", got)
	}
	err := s.Update(t.Context(), "reserve", func(tx *Tx) error {
		return second(tx.ReserveNodes(Reservation{Application: web.Application, Service: web.ID, Role: "node", Cloud: "default", Count: 4}))
	})
	if !errors.Is(err, ErrQuota) || !strings.Contains(err.Error(), "only 3 addresses left, 4 needed, in service web: 4 used") {
		t.Errorf("too many: %v", err)
	}
	reserve(t, s, web, 3)
	err = s.Update(t.Context(), "reserve", func(tx *Tx) error {
		return second(tx.ReserveNodes(Reservation{Application: web.Application, Service: web.ID, Role: "node", Cloud: "default", Count: 1}))
	})
	if !errors.Is(err, ErrQuota) || !strings.Contains(err.Error(), "no address left in service web: 7 used") {
		t.Errorf("full: %v", err)
	}
	// A release that is recorded while the machine still exists frees nothing before it is gone.
	nodes := nodesOf(t, s, web)
	last := nodes[len(nodes)-1].ID
	ready(t, s, last)
	step(t, s, last, NodeChange{}, life.NodeDelete)
	update(t, s, func(tx *Tx) error { return tx.ReleaseNode(last) })
	updateFails(t, s, ErrQuota, func(tx *Tx) error {
		return second(tx.ReserveNodes(Reservation{Application: web.Application, Service: web.ID, Role: "node", Cloud: "default", Count: 1}))
	})
	step(t, s, last, NodeChange{}, life.NodeDeleted)
	reserve(t, s, web, 1)
}

// The whole of a service of the default plan can be reserved at once, and one more is refused.
func TestLargestService(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, _ := running(t, s, "small")
	update(t, s, func(tx *Tx) error {
		n := small(a.Owner, "large")
		n.Prefix, n.ServiceBits = netip.MustParsePrefix("172.16.0.0/12"), 5
		large, err := tx.CreateApplication(n)
		if err != nil {
			return err
		}
		if _, err := tx.SetApplicationWanted(large.ID, ApplicationRunning); err != nil {
			return err
		}
		web, err := startedService(tx, large.ID, "web")
		if err != nil {
			return err
		}
		q := Reservation{Application: large.ID, Service: web.ID, Role: "node", Cloud: "default", Count: 32767}
		nodes, err := tx.ReserveNodes(q)
		if err != nil || nodes[len(nodes)-1].Overlay != netip.MustParseAddr("172.16.127.255") {
			t.Errorf("the last of %d nodes: %+v, %v", len(nodes), nodes[len(nodes)-1], err)
		}
		q.Count = 1
		if _, err := tx.ReserveNodes(q); !errors.Is(err, ErrQuota) || !strings.HasPrefix(err.Error(), "no address left in service web: 32767 used") {
			t.Errorf("one more: %v", err)
		}
		return nil
	})
}

func TestLimits(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	_, web := running(t, s, "app")
	ask := func(cloud string, count int, l Limits) error {
		return s.Update(t.Context(), "reserve", func(tx *Tx) error {
			return second(tx.ReserveNodes(Reservation{Application: web.Application, Service: web.ID, Role: "node", Cloud: cloud, Count: count, Limits: l}))
		})
	}
	if err := ask("a", 2, Limits{Cloud: 2, Total: 3}); err != nil {
		t.Fatal(err)
	}
	if err := ask("a", 1, Limits{Cloud: 2}); !errors.Is(err, ErrQuota) || !strings.Contains(err.Error(), "cloud a: 2 machines and 1 more are over its limit of 2; remove some, or have the administrator raise MAX_VMS of") {
		t.Errorf("over the cloud's limit: %v", err)
	}
	if err := ask("b", 2, Limits{Cloud: 2, Total: 3}); !errors.Is(err, ErrQuota) || !strings.Contains(err.Error(), "limit of 3 for all clouds; remove some, or have the administrator raise MAX_VMS_ALL_CLOUDS in [iaas]") {
		t.Errorf("over the total limit: %v", err)
	}
	if err := ask("b", 1, Limits{Cloud: 2, Total: 3}); err != nil {
		t.Error(err)
	}
	view(t, s, func(r *Read) error {
		counts, err := r.CloudCounts()
		if want := map[string]int{"a": 2, "b": 1}; !cmp.Equal(counts, want) {
			t.Errorf("counts %v, want %v", counts, want)
		}
		return err
	})
	for _, count := range []int{0, -1} {
		if err := ask("a", count, Limits{}); !errors.Is(err, ErrConflict) {
			t.Errorf("%d nodes: %v", count, err)
		}
	}
	update(t, s, func(tx *Tx) error { return second(tx.SetServiceWanted(web.Application, web.ID, ServiceStopped)) })
	if err := ask("a", 1, Limits{}); !errors.Is(err, ErrConflict) {
		t.Errorf("nodes of a stopped service: %v", err)
	}
}

func TestOneManagerActs(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, web := running(t, s, "app")
	var first, next Node
	take := func(n *Node) error {
		return s.Update(t.Context(), "manager", func(tx *Tx) (err error) {
			*n, err = tx.ReserveManager(a.ID, "default", Limits{})
			return err
		})
	}
	if err := take(&first); err != nil {
		t.Fatal(err)
	}
	if !first.IsManager() || first.Role != api.ManagerRole || first.Overlay != netip.MustParseAddr("10.9.8.24") || first.Slot != 0 {
		t.Errorf("manager %+v", first)
	}
	if err := take(&next); !errors.Is(err, ErrExists) {
		t.Errorf("a second manager beside the first: %v", err)
	}
	ready(t, s, first.ID)
	step(t, s, first.ID, NodeChange{Reason: "silent for too long"}, life.NodeSilent)
	if err := take(&next); !errors.Is(err, ErrExists) {
		t.Errorf("a second manager beside a silent one: %v", err)
	}
	step(t, s, first.ID, NodeChange{Reason: "silent for too long"}, life.NodeGiveUp)
	if err := take(&next); err != nil || next.Overlay != first.Overlay {
		t.Errorf("a manager in place of a failed one: %+v, %v", next, err)
	}
	reserve(t, s, web, 7) // the manager takes none of the agents' addresses
	view(t, s, func(r *Read) error {
		got, err := r.Manager(a.ID)
		app, err2 := r.Application(a.ID)
		if got.ID != next.ID || app.Incarnation != 2 {
			t.Errorf("manager %s, incarnation %d", got.ID, app.Incarnation)
		}
		facts, err3 := r.ApplicationFacts([]api.ApplicationID{a.ID})
		if facts[a.ID].Manager != next.ID {
			t.Errorf("facts %+v", facts)
		}
		return errors.Join(err, err2, err3)
	})
	step(t, s, next.ID, NodeChange{}, life.NodeDelete)
	view(t, s, func(r *Read) error {
		if _, err := r.Manager(a.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("a manager that is being deleted acts: %v", err)
		}
		return nil
	})
}
