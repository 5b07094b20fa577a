package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

func TestOperations(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	a, web := running(t, s, "app")
	var op Operation
	update(t, s, func(tx *Tx) (err error) {
		op, err = tx.CreateOperation(NewOperation{
			Kind: api.OpAddNodes, Owner: a.Owner, Application: a.ID, Service: web.ID, Revision: 4, Params: json.RawMessage(`{"nodes":{"node":2}}`),
		})
		return err
	})
	created := c.now
	c.now = c.now.Add(time.Minute)
	update(t, s, func(tx *Tx) error {
		return errors.Join(
			second(tx.StepOperation(op.ID, life.OperationStart, nil)),
			second(tx.StepOperation(op.ID, life.OperationStart, nil)), // resumed
			second(tx.NoteOperation(op.ID, "2 machines: 1 ready", "n3 is ready")),
			second(tx.NoteOperation(op.ID, "", "n4 failed")),
			second(tx.StepOperation(op.ID, life.OperationFail, &Failure{Code: api.CodeQuota, Detail: "no room"})),
		)
	})
	want := Operation{
		ID: "op1", Kind: api.OpAddNodes, Owner: a.Owner, Application: a.ID, Service: web.ID, State: api.OperationFailed, Revision: 4,
		Params: json.RawMessage(`{"nodes":{"node":2}}`), Progress: "2 machines: 1 ready",
		Steps:   []OperationStep{{Time: c.now, Text: "n3 is ready"}, {Time: c.now, Text: "n4 failed"}},
		Failure: &Failure{Code: api.CodeQuota, Detail: "no room"}, Created: created, Ended: c.now,
	}
	view(t, s, func(r *Read) error {
		got, err := r.Operation("op1")
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("operation (-want +got):\n%s", d)
		}
		for _, id := range []api.OperationID{"op2", "1", "op", "op01", "n1", ""} {
			if _, err := r.Operation(id); !errors.Is(err, ErrNotFound) {
				t.Errorf("operation %q: %v", id, err)
			}
		}
		return err
	})
	updateFails(t, s, life.ErrTransition, func(tx *Tx) error { return second(tx.StepOperation(op.ID, life.OperationStart, nil)) })
	updateFails(t, s, ErrConflict, func(tx *Tx) error { return second(tx.NoteOperation(op.ID, "more", "")) })
	view(t, s, func(r *Read) error {
		events, _, err := r.Events(a.ID, Page{})
		last := events[len(events)-1]
		if last.Operation != "op1" || last.Kind != "operation.failed" || last.Text != "operation op1 (nodes.add) is failed: no room" {
			t.Errorf("event %+v", last)
		}
		return err
	})
}

func TestOperationLists(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, _ := running(t, s, "a")
	b, _ := running(t, s, "b")
	for i := range 4 {
		app := a
		if i == 3 {
			app = b
		}
		update(t, s, func(tx *Tx) error {
			op, err := tx.CreateOperation(NewOperation{Kind: api.OpApplicationStart, Owner: app.Owner, Application: app.ID})
			if err == nil && i == 1 {
				_, err = tx.StepOperation(op.ID, life.OperationCancel, nil)
			}
			return err
		})
	}
	ids := func(ops []Operation) (ids string) {
		for _, op := range ops {
			ids += string(op.ID) + " "
		}
		return ids
	}
	view(t, s, func(r *Read) error {
		mine, _, err1 := r.ReachableOperations(a.Owner, 0, Page{})
		ofB, _, err2 := r.ReachableOperations(b.Owner, b.ID, Page{})
		foreign, _, err3 := r.ReachableOperations(a.Owner, b.ID, Page{})
		page, next, err4 := r.ReachableOperations(a.Owner, 0, Page{Limit: 2})
		open, err5 := r.OpenOperations(0)
		openA, err6 := r.OpenOperations(a.ID)
		got := fmt.Sprint(ids(mine), "| ", ids(ofB), "| ", ids(foreign), "| ", ids(page), next, "| ", ids(open), "| ", ids(openA))
		want := "op1 op2 op3 | op4 | | op1 op2 2| op1 op3 op4 | op1 op3 "
		if got != want {
			t.Errorf("lists\n%q, want\n%q", got, want)
		}
		return errors.Join(err1, err2, err3, err4, err5, err6)
	})
}

func TestStepsAreBounded(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, _ := running(t, s, "a")
	update(t, s, func(tx *Tx) error {
		op, err := tx.CreateOperation(NewOperation{Owner: a.Owner, Application: a.ID})
		for i := 0; err == nil && i < longestSteps+5; i++ {
			op, err = tx.NoteOperation(op.ID, "", fmt.Sprint(i))
		}
		if len(op.Steps) != longestSteps || op.Steps[0].Text != "5" {
			t.Errorf("%d steps from %q on", len(op.Steps), op.Steps[0].Text)
		}
		return err
	})
}

func TestEventsAreAppendOnly(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	running(t, s, "a")
	if err := s.write.Exec("UPDATE events SET text = 'nothing happened'").Error; err == nil {
		t.Error("the history can be changed")
	}
	updateFails(t, s, ErrNotFound, func(tx *Tx) error { return second(tx.AddEvent(Event{Node: "12"})) })
}

func TestPrune(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	a, web := running(t, s, "a")
	nodes := reserve(t, s, web, 2)
	ready(t, s, nodes[0].ID)
	step(t, s, nodes[1].ID, NodeChange{}, life.NodeDelete, life.NodeDeleted)
	update(t, s, func(tx *Tx) error {
		ended, err := tx.CreateOperation(NewOperation{Owner: a.Owner, Application: a.ID})
		return errors.Join(err, second(tx.StepOperation(ended.ID, life.OperationCancel, nil)),
			second(tx.CreateOperation(NewOperation{Owner: a.Owner, Application: a.ID})),
			second(tx.AddToken("t", Token{User: a.Owner, Expires: c.now})),
			second(tx.AddCertificate(Certificate{Serial: "aa", NotAfter: c.now})), second(tx.AddCertificate(Certificate{Serial: "bb", NotAfter: c.now.Add(48 * time.Hour)})))
	})
	c.now = c.now.Add(24 * time.Hour)
	update(t, s, func(tx *Tx) error {
		return errors.Join(second(tx.AddEvent(Event{Kind: "new"})), tx.Prune(c.now.Add(-time.Hour)))
	})
	for table, want := range map[string]int{
		"nodes": 1, "operations WHERE state = 'pending'": 1, "operations": 1, "events": 1, "tokens": 0, "certificates": 1, "users": 1, "services": 1,
	} {
		var n int
		if err := s.read.Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil || n != want {
			t.Errorf("%d rows of %s are left, want %d (%v)", n, table, want, err)
		}
	}
	// A pruned number is not given again.
	if next := reserve(t, s, web, 1)[0].ID; next != "n3" {
		t.Errorf("the next node is %s, want n3", next)
	}
}
