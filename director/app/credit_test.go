package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/directortest"
)

// hours is a host whose clock and uptime a test moves on.
type hours struct{ passed atomic.Int64 }

func (h *hours) pass(d time.Duration) { h.passed.Add(int64(d)) }

func (h *hours) now() time.Time { return time.Now().Add(time.Duration(h.passed.Load())) }

// often looks for hours to charge all the time.
var often = app.Timing{Charge: 5 * time.Millisecond}

// spender makes a user with so many credits who has an application "shop" with a service "hello".
func spender(t *testing.T, d *directortest.Director, credit int64) app.Actor {
	t.Helper()
	u := must[api.User](t)(d.CreateUser(t.Context(), api.UserCreate{Name: "alice", Password: secret, Credit: &credit}))
	a := app.Actor{ID: u.ID, Name: u.Name}
	must[api.Application](t)(d.CreateApplication(t.Context(), a, api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(t.Context(), a, "shop", api.ServiceCreate{Type: "helloworld", Name: "hello", Settings: map[string]string{"greeting": "kept"}}))
	return a
}

// finish waits for the end of a user's operation.
func finish(t *testing.T, d *directortest.Director, a app.Actor, op api.Operation) api.Operation {
	t.Helper()
	directortest.Await(t, 30*time.Second, "operation "+string(op.ID)+" ends", func() (err error) {
		if op, err = d.Operation(t.Context(), a, op.ID); err == nil && !op.State.Final() {
			err = fmt.Errorf("it is %s: %s", op.State, op.Progress)
		}
		return err
	})
	return op
}

// done waits for an operation, which has to succeed.
func done(t *testing.T, d *directortest.Director, a app.Actor) func(api.Operation, error) {
	return func(op api.Operation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if op = finish(t, d, a, op); op.State != api.OperationSucceeded {
			t.Fatalf("operation %s (%s) is %s: %v", op.ID, op.Kind, op.State, op.Error)
		}
	}
}

func awaitBalance(t *testing.T, d *directortest.Director, a app.Actor, want int64) {
	t.Helper()
	directortest.Await(t, 30*time.Second, fmt.Sprintf("%d credits are left", want), func() error {
		c, err := d.Credit(t.Context(), a, "me")
		if err == nil && c.Balance != want {
			err = fmt.Errorf("%+v", c)
		}
		return err
	})
}

func awaitState(t *testing.T, d *directortest.Director, a app.Actor, want api.State) (v api.Application) {
	t.Helper()
	directortest.Await(t, 30*time.Second, "the application is "+string(want), func() (err error) {
		if v, err = d.Application(t.Context(), a, "shop"); err == nil && v.State != want {
			err = fmt.Errorf("it is %s", v.State)
		}
		return err
	})
	return v
}

// told gives the texts of the application's events of a kind.
func told(t *testing.T, d *directortest.Director, a app.Actor, kind string) (texts []string) {
	t.Helper()
	for p := (app.Page{}); ; {
		list := must[api.List[api.Event]](t)(d.Events(t.Context(), a, "shop", p))
		for _, e := range list.Items {
			if e.Kind == kind {
				texts = append(texts, e.Text)
			}
		}
		if p.After = list.Next; p.After == "" {
			return texts
		}
	}
}

// When an hour cannot be paid, all stops and all is kept; more credit lets it start again.
func TestStopsAtZeroAndKeepsAll(t *testing.T) {
	t.Parallel()
	var clock hours
	d := start(t, directortest.Options{Now: clock.now, Timing: often})
	ctx := t.Context()
	alice := spender(t, d, 3)
	done(t, d, alice)(d.StartService(ctx, alice, "shop", "hello"))
	awaitBalance(t, d, alice, 1)
	c := must[api.Credit](t)(d.Credit(ctx, alice, "me"))
	if c.Machines != 2 || c.Ends == nil || !c.Low || c.Unlimited {
		t.Errorf("two machines and one credit: %+v", c)
	}
	clock.pass(time.Hour)
	awaitState(t, d, alice, api.StateStopped)
	awaitBalance(t, d, alice, 0)
	if n := listed(t, d); n != 0 {
		t.Errorf("%d machines are left", n)
	}
	texts := told(t, d, alice, "credit.exhausted")
	if len(texts) != 1 || !strings.Contains(texts[0], "cps user add-credit alice") || !strings.Contains(texts[0], "cps application start shop") {
		t.Errorf("told %q", texts)
	}
	_, err := d.StartApplication(ctx, alice, "shop")
	fails(t, err, api.CodeCredit, `2 more machines need 2 credits for their first hour, and user "alice" has 0`)
	changed := must[api.CreditChanged](t)(d.AddCredit(ctx, d.Admin(), "alice", api.CreditChange{Amount: 5, Reason: "order 4711"}))
	if changed.Balance != 5 || changed.Entry.By != "admin" || changed.Entry.Reason != "order 4711" {
		t.Errorf("%+v", changed)
	}
	done(t, d, alice)(d.StartApplication(ctx, alice, "shop"))
	awaitBalance(t, d, alice, 3)
	s := must[api.Service](t)(d.Service(ctx, alice, "shop", "hello"))
	if s.State != api.StateRunning || s.Ready != 1 || s.Settings["greeting"] != "kept" {
		t.Errorf("the service after it: %+v", s)
	}
	if sum := sumOf(t, d, alice); sum != 3 {
		t.Errorf("the entries sum up to %d, want 3", sum)
	}
}

func listed(t *testing.T, d *directortest.Director) int {
	t.Helper()
	return len(must[[]cloud.Machine](t)(d.Cloud.List(t.Context())))
}

func sumOf(t *testing.T, d *directortest.Director, a app.Actor) (sum int64) {
	t.Helper()
	for _, e := range must[api.List[api.CreditEntry]](t)(d.CreditEntries(t.Context(), a, "me", app.CreditQuery{}, app.Page{})).Items {
		sum += e.Amount
	}
	return sum
}

// A director that was down for days charges what there is, and stops.
func TestHoursWhileTheDirectorWasDown(t *testing.T) {
	t.Parallel()
	var clock hours
	crash := &crasher{}
	o := directortest.Options{Dir: t.TempDir(), Cloud: directortest.NewCloud(), Now: clock.now, Timing: often, Failpoint: crash.failpoint}
	t.Cleanup(o.Cloud.Close)
	d := must[*directortest.Director](t)(directortest.Open(t, o))
	alice := spender(t, d, 9)
	done(t, d, alice)(d.StartService(t.Context(), alice, "shop", "hello"))
	for _, at := range []string{"credit.charged/before", "credit.charged/after", ""} {
		if err := d.Stop(); err != nil && !crash.crashed.Load() {
			t.Fatal(err)
		}
		clock.pass(time.Hour)
		crash.crashed.Store(false)
		crash.at = at
		d = must[*directortest.Director](t)(directortest.Open(t, o))
		if at != "" {
			directortest.Await(t, 30*time.Second, "it crashes at "+at, func() error {
				if !crash.crashed.Load() {
					return fmt.Errorf("it goes on")
				}
				return nil
			})
		}
	}
	t.Cleanup(func() { _ = d.Stop() })
	awaitBalance(t, d, alice, 9-2*4)
	clock.pass(100 * time.Hour)
	awaitState(t, d, alice, api.StateStopped)
	awaitBalance(t, d, alice, 0)
	if sum := sumOf(t, d, alice); sum != 0 {
		t.Errorf("the entries sum up to %d", sum)
	}
	directortest.Await(t, 30*time.Second, "no machine is left", func() error {
		if left, err := d.Cloud.List(t.Context()); err != nil || len(left) > 0 {
			return fmt.Errorf("%v, %w", left, err)
		}
		return nil
	})
}

// Owners are warned once before the end, and again only when there was enough between.
func TestWarnsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	var clock hours
	d := start(t, directortest.Options{Now: clock.now, Timing: often})
	alice := spender(t, d, 8)
	done(t, d, alice)(d.StartApplication(t.Context(), alice, "shop"))
	warned := func(times int) {
		t.Helper()
		if texts := told(t, d, alice, "credit.low"); len(texts) != times || times > 0 && !strings.Contains(texts[0], "with 1 machine; then its applications are stopped") {
			t.Errorf("warned with %q, want %d times", texts, times)
		}
	}
	for left := int64(6); left >= 3; left-- {
		warned(map[bool]int{true: 1, false: 0}[left < 5])
		clock.pass(time.Hour)
		awaitBalance(t, d, alice, left)
		charged(t, d)
	}
	must[api.CreditChanged](t)(d.AddCredit(t.Context(), d.Admin(), "alice", api.CreditChange{Amount: 5}))
	charged(t, d)
	warned(1)
	for left := int64(7); left >= 4; left-- {
		clock.pass(time.Hour)
		awaitBalance(t, d, alice, left)
		charged(t, d)
	}
	warned(2)
}

// charged looks at the hours once.
func charged(t *testing.T, d *directortest.Director) {
	t.Helper()
	if err := d.Charge(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Too little credit is told before anything is made.
func TestTooLittleCreditIsToldFirst(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := spender(t, d, 3)
	must[api.CreditChanged](t)(d.AddCredit(ctx, d.Admin(), "alice", api.CreditChange{Amount: -2}))
	_, err := d.StartService(ctx, alice, "shop", "hello")
	fails(t, err, api.CodeCredit, `application "shop": not enough credit: 2 more machines need 2 credits for their first hour, and user "alice" has 1`)
	if api.CodeCredit.Status() != 402 {
		t.Errorf("status %d", api.CodeCredit.Status())
	}
	v := must[api.Application](t)(d.Application(ctx, alice, "shop"))
	if ops := must[api.List[api.Operation]](t)(d.Operations(ctx, alice, "", app.Page{})); len(ops.Items) > 0 || v.State != api.StateInit {
		t.Errorf("the application is %s, operations %+v", v.State, ops.Items)
	}
	must[api.CreditChanged](t)(d.AddCredit(ctx, d.Admin(), "alice", api.CreditChange{Amount: 2}))
	done(t, d, alice)(d.StartService(ctx, alice, "shop", "hello"))
	more := api.NodesChange{Nodes: map[api.Role]int{"node": 2}}
	_, err = d.AddNodes(ctx, alice, "shop", "hello", more)
	fails(t, err, api.CodeCredit, "2 more machines need 2 credits")
	if n := listed(t, d); n != 2 {
		t.Errorf("%d machines", n)
	}
	more.Nodes["node"] = 1
	done(t, d, alice)(d.AddNodes(ctx, alice, "shop", "hello", more))
	awaitBalance(t, d, alice, 0)
}

// What was enough when an operation began may be gone before its machines are reserved.
func TestOperationsFailWithoutCredit(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := spender(t, d, 2)
	held := make(chan struct{})
	d.Cloud.Refuse(func(launch int) error {
		if launch == 1 { // of the manager, without which nobody asks for the other machine
			<-held
		}
		return nil
	})
	op := must[api.Operation](t)(d.StartService(ctx, alice, "shop", "hello"))
	awaitBalance(t, d, alice, 1)
	changed := must[api.CreditChanged](t)(d.AddCredit(ctx, d.Admin(), "alice", api.CreditChange{Amount: -7}))
	if changed.Entry.Amount != -1 || changed.Balance != 0 {
		t.Errorf("7 taken of 1: %+v", changed)
	}
	close(held)
	op = finish(t, d, alice, op)
	if op.State != api.OperationFailed || op.Error.Code != api.CodeCredit || !strings.Contains(op.Error.Detail, `user "alice" has 0`) {
		t.Fatalf("%s: %v", op.State, op.Error)
	}
	must[api.CreditChanged](t)(d.AddCredit(ctx, d.Admin(), "alice", api.CreditChange{Amount: 1}))
	done(t, d, alice)(d.StartService(ctx, alice, "shop", "hello"))
}

// Machines that the cloud refuses for good cost nothing; a lost one is replaced within its hour.
func TestOnlyMachinesOfUseCost(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{Timing: app.Timing{Sweep: 20 * time.Millisecond}})
	ctx := t.Context()
	alice := spender(t, d, 4)
	done(t, d, alice)(d.StartService(ctx, alice, "shop", "hello"))
	awaitBalance(t, d, alice, 2)
	d.Cloud.Refuse(func(int) error { return d.Cloud.Error("quota", "no more here") })
	op := finish(t, d, alice, must[api.Operation](t)(d.AddNodes(ctx, alice, "shop", "hello", api.NodesChange{Nodes: map[api.Role]int{"node": 1}})))
	if op.State != api.OperationFailed || op.Error.Code != api.CodeQuota {
		t.Errorf("%s: %v", op.State, op.Error)
	}
	awaitBalance(t, d, alice, 2)
	d.Cloud.Refuse(nil)
	nodes := must[[]api.Node](t)(d.ApplicationNodes(ctx, alice, "shop"))
	i := slices.IndexFunc(nodes, func(n api.Node) bool { return n.Service != 0 })
	d.Cloud.Kill(nodes[i].ID)
	directortest.Await(t, 30*time.Second, "it is replaced", func() error {
		now, err := d.ApplicationNodes(ctx, alice, "shop")
		if err == nil && !slices.ContainsFunc(now, func(n api.Node) bool { return n.Service != 0 && n.ID != nodes[i].ID && n.State == api.NodeReady }) {
			err = fmt.Errorf("%+v", now)
		}
		return err
	})
	awaitBalance(t, d, alice, 2)
	costs := must[api.List[api.NodeCredit]](t)(d.NodeCredits(ctx, alice, "me", app.CreditQuery{Application: "shop"}, app.Page{}))
	total := int64(0)
	for _, n := range costs.Items {
		total += n.Credits
	}
	if total != 2 || len(costs.Items) != 4 {
		t.Errorf("costs of a manager, a node, one that was refused and a replacement: %+v", costs.Items)
	}
}
