package app_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/directortest"
)

// A manager of another version that does not understand the director is named as such, at the application and at its
// node; once it does, the application goes on.
func TestManagerOfAnotherVersion(t *testing.T) {
	t.Parallel()
	d := directortest.Start(t, directortest.Options{})
	ctx, admin := t.Context(), d.Admin()
	d.Cloud.Older(true)
	if _, err := d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	op, err := d.StartApplication(ctx, admin, "shop")
	if err != nil {
		t.Fatal(err)
	}
	directortest.Await(t, 30*time.Second, "the version is named", func() error {
		a, err := d.Application(ctx, admin, "shop")
		nodes, nodesErr := d.ApplicationNodes(ctx, admin, "shop")
		if err := errors.Join(err, nodesErr); err != nil || len(nodes) == 0 {
			return fmt.Errorf("%d nodes: %v", len(nodes), err)
		}
		for _, reason := range []string{a.Reason, nodes[0].Reason} {
			if !strings.Contains(reason, "node n1, runs version test") || !strings.Contains(reason, "it speaks protocol 0, and the call is of protocol 1") || !strings.Contains(reason, "cps application stop") {
				return fmt.Errorf("application: %s %s, node: %s", a.State, a.Reason, nodes[0].Reason)
			}
		}
		return nil
	})
	d.Cloud.Older(false)
	if op = d.Finish(t, op); op.State != api.OperationSucceeded {
		t.Errorf("in the end it has %s: %v", op.State, op.Error)
	}
	directortest.Await(t, 30*time.Second, "the application runs", func() error {
		if a, err := d.Application(ctx, admin, "shop"); err != nil || a.State != api.StateRunning || a.Reason != "" {
			return fmt.Errorf("%s %q, %v", a.State, a.Reason, err)
		}
		return nil
	})
}
