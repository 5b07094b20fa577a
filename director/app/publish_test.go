package app_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/directortest"
)

// A cloud that takes its time to publish a port keeps no machine from joining; the operation waits for the address.
func TestPublishingKeepsNobodyFromJoining(t *testing.T) {
	t.Parallel()
	c := directortest.NewCloud()
	t.Cleanup(c.Close)
	asked, release := make(chan struct{}, 100), make(chan struct{})
	c.Publishing(func(ctx context.Context) error {
		asked <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	c.Lie(func(r api.ManagerReport) []api.ManagerReport {
		for i, s := range r.Services {
			for _, n := range r.Nodes {
				if n.Ready {
					r.Services[i].Endpoints = append(r.Services[i].Endpoints, api.Endpoint{Name: "http", Node: n.Node, Port: uint16(80 + s.Service)})
				}
			}
		}
		return []api.ManagerReport{r}
	})
	d := start(t, directortest.Options{Cloud: c})
	ctx, admin := t.Context(), d.Admin()
	must[api.Application](t)(d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: "helloworld"}))
	first := must[api.Operation](t)(d.StartService(ctx, admin, "shop", "helloworld"))
	<-asked
	more := must[api.Operation](t)(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 3}}))
	directortest.Await(t, 30*time.Second, "the machines join while the first is being published", func() error {
		nodes, err := d.ApplicationNodes(ctx, admin, "shop")
		if err != nil || len(nodes) != 5 {
			return fmt.Errorf("%d nodes, %v", len(nodes), err)
		}
		for _, n := range nodes {
			if n.State != api.NodeReady {
				return fmt.Errorf("node %s is %s", n.ID, n.State)
			}
		}
		return nil
	})
	for _, op := range []api.Operation{first, more} {
		if now := must[api.Operation](t)(d.Operation(ctx, admin, op.ID)); now.State.Final() {
			t.Errorf("operation %s is %s while no address is known", op.Kind, now.State)
		}
	}
	close(release)
	for _, op := range []api.Operation{first, more} {
		if now := d.Finish(t, op); now.State != api.OperationSucceeded {
			t.Errorf("operation %s is %s: %v", op.Kind, now.State, now.Error)
		}
	}
	service := must[api.Service](t)(d.Service(ctx, admin, "shop", "helloworld"))
	if len(service.Endpoints) != 4 {
		t.Errorf("endpoints %+v, want 4", service.Endpoints)
	}
}
