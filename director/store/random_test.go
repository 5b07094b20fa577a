package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

// Whatever happens in whatever order, every address is inside its service's partition, at most one node holds it, machines
// are not forgotten before they are gone, and a reservation takes the lowest slots that are free.
func TestRandomWalkKeepsAddressesUnique(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	applications := 0
	rapid.Check(t, func(t *rapid.T) {
		applications++
		w := &walk{s: s}
		w.start(t, fmt.Sprintf("app%d", applications))
		t.Repeat(map[string]func(*rapid.T){
			"reserve": w.reserve, "manager": w.manager, "step": w.step, "delete": w.remove, "release": w.release,
			"create service": w.createService, "purge service": w.purgeService, "": w.check,
		})
	})
}

type walk struct {
	s        *Store
	app      Application
	machines map[api.NodeID]string
	names    int
}

func (w *walk) update(t *rapid.T, allowed error, fn func(tx *Tx) error) {
	err := w.s.Update(context.Background(), "walk", fn)
	if err != nil && !errors.Is(err, allowed) {
		t.Fatal(err)
	}
}

func (w *walk) view(t *rapid.T, fn func(r *Read) error) {
	if err := w.s.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func (w *walk) start(t *rapid.T, name string) {
	w.machines = map[api.NodeID]string{}
	w.update(t, nil, func(tx *Tx) error {
		u, err := tx.CreateUser(User{Name: name, Role: api.RoleUser, Credit: 1 << 40})
		if err != nil {
			return err
		}
		if w.app, err = tx.CreateApplication(small(u.ID, name)); err != nil {
			return err
		}
		w.app, err = tx.SetApplicationWanted(w.app.ID, ApplicationRunning)
		return err
	})
}

// rows gives every row of a node of the application, gone ones too.
func (w *walk) rows(t *rapid.T) (nodes []Node) {
	w.view(t, func(r *Read) (err error) {
		nodes, err = r.nodes("application_id = ?", int64(w.app.ID))
		return err
	})
	return nodes
}

func (w *walk) services(t *rapid.T) (services []Service) {
	w.view(t, func(r *Read) (err error) {
		services, err = r.Services(w.app.ID)
		return err
	})
	return services
}

func holds(n Node) bool { return !(n.State == api.NodeGone && n.Released) }

func (w *walk) createService(t *rapid.T) {
	w.names++
	w.update(t, ErrQuota, func(tx *Tx) error {
		return second(startedService(tx, w.app.ID, fmt.Sprintf("s%d", w.names)))
	})
}

func (w *walk) purgeService(t *rapid.T) {
	services := w.services(t)
	if len(services) == 0 {
		return
	}
	id := rapid.SampledFrom(services).Draw(t, "service").ID
	w.update(t, ErrConflict, func(tx *Tx) error { return second(tx.SetServiceWanted(w.app.ID, id, ServiceRemoved)) })
	w.update(t, ErrConflict, func(tx *Tx) error { return tx.PurgeService(w.app.ID, id) })
}

func (w *walk) reserve(t *rapid.T) {
	services := slices.DeleteFunc(w.services(t), func(s Service) bool { return s.Wanted != ServiceStarted })
	if len(services) == 0 {
		return
	}
	service := rapid.SampledFrom(services).Draw(t, "service")
	count := rapid.IntRange(1, 5).Draw(t, "count")
	var used []int
	for _, n := range w.rows(t) {
		if holds(n) && n.Service == service.ID {
			used = append(used, n.Slot)
		}
	}
	var got []Node
	err := w.s.Update(context.Background(), "walk", func(tx *Tx) (err error) {
		got, err = tx.ReserveNodes(Reservation{Application: w.app.ID, Service: service.ID, Role: "node", Cloud: "default", Count: count})
		return err
	})
	if fits := len(used)+count <= 7; fits != (err == nil) || err != nil && !errors.Is(err, ErrQuota) {
		t.Fatalf("%d more beside %d: %v", count, len(used), err)
	}
	slot := 0
	for _, n := range got {
		for slot++; slices.Contains(used, slot); slot++ {
		}
		if n.Slot != slot {
			t.Fatalf("slot %d is given although %d is free", n.Slot, slot)
		}
	}
}

func (w *walk) manager(t *rapid.T) {
	w.update(t, ErrExists, func(tx *Tx) error { return second(tx.ReserveManager(w.app.ID, "default", Limits{})) })
}

func (w *walk) apply(t *rapid.T, n Node, event life.NodeEvent) {
	c := NodeChange{}
	switch event {
	case life.NodeLaunched:
		c.Machine = "m-" + n.MachineToken()
	case life.NodeJoined:
		c.CSRKey, c.OverlayKey = "key-"+string(n.ID), api.OverlayKey("overlay-"+n.ID)
	}
	w.update(t, nil, func(tx *Tx) error { return second(tx.Step(n.ID, event, c)) })
	if c.Machine != "" {
		w.machines[n.ID] = c.Machine
	}
}

func (w *walk) step(t *rapid.T) {
	alive := slices.DeleteFunc(w.rows(t), func(n Node) bool { return n.State == api.NodeGone })
	if len(alive) == 0 {
		return
	}
	n := rapid.SampledFrom(alive).Draw(t, "node")
	w.apply(t, n, rapid.SampledFrom(life.NodeEvents(n.State)).Draw(t, "event"))
}

// remove brings a node to its end, so that the walk does not only grow.
func (w *walk) remove(t *rapid.T) {
	alive := slices.DeleteFunc(w.rows(t), func(n Node) bool { return n.State == api.NodeGone })
	if len(alive) == 0 {
		return
	}
	n := rapid.SampledFrom(alive).Draw(t, "node")
	w.apply(t, n, life.NodeDelete)
	w.apply(t, n, life.NodeDeleted)
}

func (w *walk) release(t *rapid.T) {
	if nodes := w.rows(t); len(nodes) > 0 {
		n := rapid.SampledFrom(nodes).Draw(t, "node")
		w.update(t, ErrConflict, func(tx *Tx) error { return tx.ReleaseNode(n.ID) })
	}
}

func (w *walk) check(t *rapid.T) {
	plan, err := w.app.Plan()
	if err != nil {
		t.Fatal(err)
	}
	partitions := map[int]api.ServiceID{}
	for _, s := range w.services(t) {
		if other, taken := partitions[s.Partition]; taken {
			t.Fatalf("services %d and %d share partition %d", other, s.ID, s.Partition)
		}
		partitions[s.Partition] = s.ID
	}
	holders, acting := map[netip.Addr]api.NodeID{}, 0
	for _, n := range w.rows(t) {
		if m := w.machines[n.ID]; n.Machine != m {
			t.Fatalf("node %s in %s has machine %q, the cloud gave %q", n.ID, n.State, n.Machine, m)
		}
		partition, slot, ok := plan.Locate(n.Overlay)
		if !ok || partition != n.Partition || slot != n.Slot {
			t.Fatalf("node %s: %s is slot %d of partition %d, recorded are %d and %d", n.ID, n.Overlay, slot, partition, n.Slot, n.Partition)
		}
		if n.IsManager() {
			if n.Overlay != plan.Manager() {
				t.Fatalf("manager %s has %s", n.ID, n.Overlay)
			}
			if n.State != api.NodeFailed && n.State != api.NodeDeleting && n.State != api.NodeGone {
				acting++
			}
			continue
		}
		if !holds(n) {
			continue
		}
		if slot == 0 {
			t.Fatalf("node %s has slot 0", n.ID)
		}
		if other, taken := holders[n.Overlay]; taken {
			t.Fatalf("nodes %s and %s both have %s", other, n.ID, n.Overlay)
		}
		holders[n.Overlay] = n.ID
		if owner, taken := partitions[n.Partition]; taken && owner != n.Service {
			t.Fatalf("node %s of service %d holds an address in partition %d of service %d", n.ID, n.Service, n.Partition, owner)
		}
	}
	if acting > 1 {
		t.Fatalf("%d managers act", acting)
	}
}
