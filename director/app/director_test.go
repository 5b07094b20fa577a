package app_test

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/directortest"
)

func start(t *testing.T, o directortest.Options) *directortest.Director {
	t.Helper()
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return directortest.Start(t, o)
}

// must gives v of a call that has to succeed.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// succeed waits for an operation, which has to succeed.
func succeed(t *testing.T, d *directortest.Director) func(op api.Operation, err error) {
	return func(op api.Operation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if op = d.Finish(t, op); op.State != api.OperationSucceeded {
			t.Fatalf("operation %s (%s) is %s: %v", op.ID, op.Kind, op.State, op.Error)
		}
	}
}

// machines checks that the cloud has exactly the machines of the nodes that are shown, and gives how many.
func machines(t *testing.T, d *directortest.Director, application string) int {
	t.Helper()
	nodes := must[[]api.Node](t)(d.ApplicationNodes(t.Context(), d.Admin(), application))
	listed := must[[]cloud.Machine](t)(d.Cloud.List(t.Context()))
	known := make(map[string]bool)
	for _, n := range nodes {
		known[n.Machine] = true
	}
	for _, m := range listed {
		if !known[string(m.ID)] {
			t.Errorf("machine %s (%s) belongs to no node", m.ID, m.Token)
		}
	}
	if len(listed) != len(nodes) {
		t.Errorf("the cloud has %d machines, the director %d nodes", len(listed), len(nodes))
	}
	return len(nodes)
}

func TestApplicationLife(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	ctx, admin, ok := t.Context(), d.Admin(), succeed(t, d)
	must[api.Application](t)(d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: "helloworld"}))
	ok(d.StartService(ctx, admin, "shop", "helloworld"))
	ok(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 3}}))
	if n := machines(t, d, "shop"); n != 5 {
		t.Errorf("%d machines, want 5: a manager and 4 nodes", n)
	}
	ok(d.RemoveNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 2}}))
	if n := machines(t, d, "shop"); n != 3 {
		t.Errorf("%d machines, want 3", n)
	}
	service := must[api.Service](t)(d.Service(ctx, admin, "shop", "helloworld"))
	if service.State != api.StateRunning || service.Ready != 2 {
		t.Errorf("service is %s with %d ready machines, want RUNNING with 2", service.State, service.Ready)
	}
	ok(d.StopApplication(ctx, admin, "shop"))
	if n := machines(t, d, "shop"); n != 0 {
		t.Errorf("%d machines after the stop, want none", n)
	}
	ok(d.StartApplication(ctx, admin, "shop"))
	if n := machines(t, d, "shop"); n != 3 {
		t.Errorf("%d machines after the second start, want 3", n)
	}
	ok(d.RemoveService(ctx, admin, "shop", "helloworld"))
	if n := machines(t, d, "shop"); n != 1 {
		t.Errorf("%d machines without the service, want the manager's", n)
	}
	ok(d.DeleteApplication(ctx, admin, "shop"))
	if _, err := d.Application(ctx, admin, "shop"); api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("the application after its deletion: %v, want not_found", err)
	}
}

func TestDeadMachinesAreReplaced(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{Timing: app.Timing{Sweep: 50 * time.Millisecond}})
	ctx, admin, ok := t.Context(), d.Admin(), succeed(t, d)
	must[api.Application](t)(d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: "helloworld"}))
	ok(d.StartService(ctx, admin, "shop", "helloworld"))
	before := must[[]api.Node](t)(d.ApplicationNodes(ctx, admin, "shop"))
	for _, n := range before {
		d.Cloud.Kill(n.ID)
	}
	directortest.Await(t, 20*time.Second, "both machines are replaced", func() error {
		nodes, err := d.ApplicationNodes(ctx, admin, "shop")
		if err != nil || len(nodes) != len(before) {
			return fmt.Errorf("%d nodes, %v", len(nodes), err)
		}
		for _, n := range nodes {
			old := slices.ContainsFunc(before, func(b api.Node) bool { return b.ID == n.ID })
			if n.State != api.NodeReady || old {
				return fmt.Errorf("node %s is %s", n.ID, n.State)
			}
		}
		return nil
	})
	machines(t, d, "shop")
}

func TestRefusedMachinesAreGivenUp(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	ctx, admin, ok := t.Context(), d.Admin(), succeed(t, d)
	must[api.Application](t)(d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: "helloworld"}))
	ok(d.StartService(ctx, admin, "shop", "helloworld"))
	if n := d.Cloud.Launches(); n != 2 {
		t.Errorf("%d launches for a manager and a node", n)
	}
	d.Cloud.Refuse(func(launch int) error {
		if launch > 4 {
			return d.Cloud.Error(cloud.KindQuota, "InstanceLimitExceeded: 4 machines")
		}
		return nil
	})
	op := must[api.Operation](t)(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 4}}))
	op = d.Finish(t, op)
	if op.State != api.OperationFailed || !strings.Contains(op.Error.Detail, "InstanceLimitExceeded") {
		t.Errorf("the operation is %s: %v; want failed with the cloud's words", op.State, op.Error)
	}
	if n := machines(t, d, "shop"); n != 4 {
		t.Errorf("%d machines, want 4: those that could be made are kept", n)
	}
	service := must[api.Service](t)(d.Service(ctx, admin, "shop", "helloworld"))
	if service.Nodes["node"] != 3 {
		t.Errorf("%d machines are wanted, want 3", service.Nodes["node"])
	}
}

// A director that is told to end while it starts ends without an error.
func TestEndsWhileItStarts(t *testing.T) {
	for range 10 {
		d := must[*directortest.Director](t)(directortest.Open(t, directortest.Options{}))
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
