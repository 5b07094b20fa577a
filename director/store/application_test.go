package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

func TestApplications(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	var alice, bob User
	var shop, other Application
	update(t, s, func(tx *Tx) error {
		var errs [4]error
		alice, errs[0] = tx.CreateUser(User{Name: "alice", Role: api.RoleUser})
		bob, errs[1] = tx.CreateUser(User{Name: "bob", Role: api.RoleUser})
		shop, errs[2] = tx.CreateApplication(small(alice.ID, "shop"))
		other, errs[3] = tx.CreateApplication(small(bob.ID, "shop")) // the same name of another owner
		return errors.Join(errs[:]...)
	})
	want := Application{
		ID: shop.ID, Owner: alice.ID, Name: "shop", Cloud: "default", Wanted: ApplicationStopped, State: api.StateInit, Since: c.now,
		Revision: 1, Prefix: shop.Prefix, ServiceBits: 2, Created: c.now,
	}
	if d := cmp.Diff(want, shop, cmpopts.EquateComparable(want.Prefix)); d != "" || shop.Prefix.String() != "10.9.8.0/27" {
		t.Errorf("created (-want +got):\n%s", d)
	}
	updateFails(t, s, ErrExists, func(tx *Tx) error {
		_, err := tx.CreateApplication(small(alice.ID, "shop"))
		return err
	})
	updateFails(t, s, ErrAlike, func(tx *Tx) error {
		_, err := tx.CreateApplication(small(alice.ID, "Shop"))
		return err
	})
	updateFails(t, s, ErrNotFound, func(tx *Tx) error {
		_, err := tx.CreateApplication(small(99, "x"))
		return err
	})

	for _, find := range []struct {
		owner api.UserID
		ref   string
		want  api.ApplicationID // 0: ErrNotFound
	}{
		{alice.ID, "shop", shop.ID},
		{bob.ID, "shop", other.ID},
		{alice.ID, shop.ID.String(), shop.ID},
		{alice.ID, other.ID.String(), 0},
		{alice.ID, "none", 0},
		{alice.ID, "", 0},
		{alice.ID, "-1", 0},
		{99, "shop", 0},
	} {
		err := s.View(t.Context(), func(r *Read) error {
			got, _, err := r.Reach(find.owner, find.ref)
			if got.ID != find.want {
				t.Errorf("find %q of %d: %d, want %d", find.ref, find.owner, got.ID, find.want)
			}
			return err
		})
		if (find.want == 0) != errors.Is(err, ErrNotFound) {
			t.Errorf("find %q of %d: %v", find.ref, find.owner, err)
		}
	}

	c.now = c.now.Add(time.Hour)
	update(t, s, func(tx *Tx) error {
		_, err := tx.RenameApplication(shop.ID, "store")
		if err == nil {
			shop, err = tx.SetApplicationWanted(shop.ID, ApplicationRunning)
		}
		return errors.Join(err, tx.SetApplicationState(shop.ID, api.StateInit, "waiting"), tx.SetSettled(shop.ID, 3), tx.SetSettled(shop.ID, 2))
	})
	view(t, s, func(r *Read) error {
		got, err := r.Application(shop.ID)
		if got.Name != "store" || got.Revision != 3 || got.Settled != 3 || got.Wanted != ApplicationRunning || got.Reason != "waiting" || !got.Since.Equal(want.Since) {
			t.Errorf("changed application %+v", got)
		}
		return err
	})
	update(t, s, func(tx *Tx) error { return tx.SetApplicationState(shop.ID, api.StateError, "no manager") })
	view(t, s, func(r *Read) error {
		got, err := r.Application(shop.ID)
		if got.Revision != 3 || !got.Since.Equal(c.now) {
			t.Errorf("a shown state changes more than it should: %+v", got)
		}
		events, _, _ := r.Events(shop.ID, Page{})
		last := events[len(events)-1]
		if last.Kind != "application.state" || !last.Alarm || last.Owner != alice.ID || last.Text != `application "store" is ERROR: no manager` {
			t.Errorf("event %+v", last)
		}
		return err
	})

	view(t, s, func(r *Read) error {
		mine, next, err := r.Applications(alice.ID, Page{})
		all, _, err2 := r.Applications(0, Page{})
		if len(mine) != 1 || next != 0 || len(all) != 2 {
			t.Errorf("lists: %d of alice, %d in all", len(mine), len(all))
		}
		return errors.Join(err, err2)
	})
}

func TestApplicationIsPurgedLast(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, service := running(t, s, "app")
	node := ready(t, s, reserve(t, s, service, 1)[0].ID)
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.PurgeApplication(a.ID) })
	update(t, s, func(tx *Tx) error {
		_, err := tx.SetApplicationWanted(a.ID, ApplicationDeleted)
		return err
	})
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.PurgeApplication(a.ID) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error {
		_, err := tx.SetApplicationWanted(a.ID, ApplicationRunning)
		return err
	})
	updateFails(t, s, ErrConflict, func(tx *Tx) error {
		_, err := tx.CreateService(a.ID, NewService{Name: "late"})
		return err
	})
	step(t, s, node.ID, NodeChange{}, life.NodeDelete, life.NodeDeleted)
	update(t, s, func(tx *Tx) error { return tx.PurgeApplication(a.ID) })
	view(t, s, func(r *Read) error {
		for what, err := range map[string]error{
			"application": second(r.Application(a.ID)), "service": second(r.Service(a.ID, service.ID)), "node": second(r.Node(node.ID)),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("the %s is still there: %v", what, err)
			}
		}
		events, _, err := r.Events(a.ID, Page{})
		if last := events[len(events)-1]; last.Kind != "application.deleted" || last.Owner != a.Owner {
			t.Errorf("the history ends with %+v", last)
		}
		return err
	})
	b, _ := running(t, s, "next")
	if b.ID <= a.ID {
		t.Errorf("id %d is given again after %d", b.ID, a.ID)
	}
}

func second[A any](_ A, err error) error { return err }

func TestServices(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, web := running(t, s, "app")
	var db Service
	update(t, s, func(tx *Tx) (err error) {
		db, err = startedService(tx, a.ID, "db")
		return err
	})
	if web.ID != 1 || db.ID != 2 || web.Partition != 0 || db.Partition != 1 {
		t.Errorf("web is %d in partition %d, db %d in %d", web.ID, web.Partition, db.ID, db.Partition)
	}
	updateFails(t, s, ErrExists, func(tx *Tx) error {
		_, err := startedService(tx, a.ID, "db")
		return err
	})
	updateFails(t, s, ErrExists, func(tx *Tx) error {
		_, err := tx.RenameService(a.ID, web.ID, "db")
		return err
	})
	for _, change := range []func(tx *Tx) error{
		func(tx *Tx) error { _, err := startedService(tx, a.ID, "DB"); return err },
		func(tx *Tx) error { _, err := tx.RenameService(a.ID, web.ID, "Db"); return err },
	} {
		updateFails(t, s, ErrAlike, change)
	}
	revision := revisionOf(t, s, a.ID)
	update(t, s, func(tx *Tx) error {
		return errors.Join(
			second(tx.RenameService(a.ID, web.ID, "front")),
			second(tx.SetServiceNodes(a.ID, web.ID, map[api.Role]int{"node": 5})),
			second(tx.SetServiceSettings(a.ID, web.ID, map[string]string{"greeting": "hi"})),
			tx.SetServiceState(a.ID, web.ID, api.StateAdapting, "5 machines: 1 ready"),
		)
	})
	if got := revisionOf(t, s, a.ID); got != revision+3 {
		t.Errorf("revision %d after three changes, want %d", got, revision+3)
	}
	view(t, s, func(r *Read) error {
		for _, ref := range []string{"front", "1"} {
			got, err := r.FindService(a.ID, ref)
			if err != nil || got.ID != web.ID || got.Nodes["node"] != 5 || got.Settings["greeting"] != "hi" || got.State != api.StateAdapting || got.Wanted != ServiceStarted {
				t.Errorf("find %q: %+v, %v", ref, got, err)
			}
		}
		for _, ref := range []string{"web", "3", ""} {
			if _, err := r.FindService(a.ID, ref); !errors.Is(err, ErrNotFound) {
				t.Errorf("find %q: %v", ref, err)
			}
		}
		return nil
	})
	update(t, s, func(tx *Tx) error {
		_, err := tx.SetServiceWanted(a.ID, db.ID, ServiceRemoved)
		return err
	})
	updateFails(t, s, ErrConflict, func(tx *Tx) error {
		_, err := tx.SetServiceWanted(a.ID, db.ID, ServiceStarted)
		return err
	})
	view(t, s, func(r *Read) error {
		facts, err := r.ApplicationFacts([]api.ApplicationID{a.ID, 99})
		if want := map[api.ApplicationID]ApplicationFacts{a.ID: {Services: 1}}; !cmp.Equal(facts, want) {
			t.Errorf("facts %v, want %v", facts, want)
		}
		return err
	})
	update(t, s, func(tx *Tx) error { return tx.PurgeService(a.ID, db.ID) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.PurgeService(a.ID, web.ID) })
	update(t, s, func(tx *Tx) (err error) {
		db, err = startedService(tx, a.ID, "db")
		return err
	})
	if db.ID != 3 || db.Partition != 1 {
		t.Errorf("the next service is %d in partition %d, want 3 in 1", db.ID, db.Partition)
	}
}

func revisionOf(t *testing.T, s *Store, id api.ApplicationID) (revision uint64) {
	t.Helper()
	view(t, s, func(r *Read) error {
		a, err := r.Application(id)
		revision = a.Revision
		return err
	})
	return revision
}

func TestPartitionIsReusedOnlyWhenReleased(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, web := running(t, s, "app")
	var keeper Service
	update(t, s, func(tx *Tx) (err error) {
		keeper, err = startedService(tx, a.ID, "keeper") // keeps the application from releasing everything
		return err
	})
	ready(t, s, reserve(t, s, keeper, 1)[0].ID)
	node := ready(t, s, reserve(t, s, web, 1)[0].ID)
	update(t, s, func(tx *Tx) error { return second(tx.SetServiceWanted(a.ID, web.ID, ServiceRemoved)) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return tx.PurgeService(a.ID, web.ID) })
	step(t, s, node.ID, NodeChange{}, life.NodeDelete, life.NodeDeleted)
	update(t, s, func(tx *Tx) error { return tx.PurgeService(a.ID, web.ID) })
	partition := func(name string) (index int) {
		update(t, s, func(tx *Tx) error {
			service, err := startedService(tx, a.ID, name)
			index = service.Partition
			return err
		})
		return index
	}
	if got := partition("second"); got != 2 {
		t.Errorf("a new service gets partition %d although a node may still be known in 0", got)
	}
	update(t, s, func(tx *Tx) error { return tx.ReleaseNode(node.ID) })
	if got := partition("third"); got != 0 {
		t.Errorf("a new service gets partition %d, want the free 0", got)
	}
	if got := partition("fourth"); got != 3 {
		t.Errorf("a new service gets partition %d, want 3", got)
	}
	updateFails(t, s, ErrQuota, func(tx *Tx) error { return second(startedService(tx, a.ID, "fifth")) })
}

func TestUnsettled(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, web := running(t, s, "app")
	unsettled := func() (yes bool) {
		view(t, s, func(r *Read) error {
			ids, err := r.Unsettled()
			yes = slices.Contains(ids, a.ID)
			return err
		})
		return yes
	}
	expect := func(want bool, when string) {
		t.Helper()
		if unsettled() != want {
			t.Errorf("%s: unsettled is %v", when, !want)
		}
	}
	change := func(fn func(tx *Tx) error) { t.Helper(); update(t, s, fn) }
	settle := func() {
		t.Helper()
		change(func(tx *Tx) error {
			return errors.Join(tx.SetApplicationState(a.ID, api.StateRunning, ""), tx.SetSettled(a.ID, revisionIn(tx, a.ID)))
		})
	}
	expect(true, "just started")
	settle()
	expect(true, "without a manager")
	var manager Node
	change(func(tx *Tx) (err error) {
		manager, err = tx.ReserveManager(a.ID, "default", Limits{})
		return err
	})
	expect(true, "manager wanted")
	ready(t, s, manager.ID)
	expect(false, "running with its manager")
	change(func(tx *Tx) error { return second(tx.SetServiceNodes(a.ID, web.ID, map[api.Role]int{"node": 1})) })
	expect(true, "with a new revision")
	settle()
	expect(false, "settled again")
	node := ready(t, s, reserve(t, s, web, 1)[0].ID)
	expect(false, "with a ready node")
	step(t, s, node.ID, NodeChange{}, life.NodeSilent)
	expect(true, "with a silent node")
	step(t, s, node.ID, NodeChange{}, life.NodeDelete, life.NodeDeleted)
	expect(true, "with a gone node that is not released")
	change(func(tx *Tx) error { return tx.ReleaseNode(node.ID) })
	expect(false, "with a released node")
	var op Operation
	change(func(tx *Tx) (err error) {
		op, err = tx.CreateOperation(NewOperation{Kind: api.OpAddNodes, Owner: a.Owner, Application: a.ID})
		return err
	})
	expect(true, "with an open operation")
	change(func(tx *Tx) error { return second(tx.StepOperation(op.ID, life.OperationCancel, nil)) })
	expect(false, "with an ended operation")
	change(func(tx *Tx) error { return second(tx.SetApplicationWanted(a.ID, ApplicationStopped)) })
	expect(true, "to be stopped")
	change(func(tx *Tx) error { return tx.SetApplicationState(a.ID, api.StateStopped, "") })
	expect(true, "stopped with a manager")
	step(t, s, manager.ID, NodeChange{}, life.NodeDelete, life.NodeDeleted)
	expect(false, "stopped")
	change(func(tx *Tx) error { return second(tx.SetApplicationWanted(a.ID, ApplicationDeleted)) })
	expect(true, "to be deleted")
}

func revisionIn(tx *Tx, id api.ApplicationID) uint64 {
	a, _ := tx.Application(id)
	return a.Revision
}
