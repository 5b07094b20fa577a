package app_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// step waits for a step of the rotation.
func step(t *testing.T, d *directortest.Director, want api.CAStep) {
	t.Helper()
	directortest.Await(t, 30*time.Second, "the step "+string(want), func() error {
		state, err := d.Authorities(t.Context())
		if err == nil && state.Step != want {
			err = fmt.Errorf("it is %s and waits for %v", state.Step, state.Nodes)
		}
		return err
	})
}

// reaches tells whether who trusts these CA certificates takes the director for what it is.
func reaches(t *testing.T, d *directortest.Director, ca []byte) error {
	t.Helper()
	pool, err := certs.Pool(ca)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(d.URL, "https://"), &tls.Config{RootCAs: pool})
	if err == nil {
		conn.Close()
	}
	return err
}

func shop(t *testing.T, d *directortest.Director, count int) {
	t.Helper()
	ctx, admin, ok := t.Context(), d.Admin(), succeed(t, d)
	must[api.Application](t)(d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: "helloworld"}))
	ok(d.StartService(ctx, admin, "shop", "helloworld"))
	if count > 1 {
		ok(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": count - 1}}))
	}
}

// A rotation goes on by itself as far as the overlap, while machines come; who knows only the old authority reaches the
// director until that is retired.
func TestRotation(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{Lives: app.Certificates{Node: 20 * time.Second}})
	ctx, admin, ok := t.Context(), d.Admin(), succeed(t, d)
	shop(t, d, 1)
	old := d.CA()
	if _, err := d.RetireCA(ctx, admin, api.CARetire{Force: true}); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("the only authority is retired: %v", err)
	}
	state := must[api.CAState](t)(d.RotateCA(ctx, admin))
	if state.Step != api.CAIntroducing || len(state.Authorities) != 2 || state.Waiting != 2 {
		t.Errorf("after the begin: %+v", state)
	}
	if a := state.Authorities; a[0].Signs || a[0].Serves || !a[1].Signs || !a[1].Serves {
		t.Errorf("the new authority acts before anybody knows it: %+v", a)
	}
	if _, err := d.RotateCA(ctx, admin); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("a second rotation: %v", err)
	}
	if _, err := d.RetireCA(ctx, admin, api.CARetire{}); api.CodeFrom(err) != api.CodeConflict || !strings.Contains(err.Error(), "n1") {
		t.Errorf("retired while nodes wait: %v", err)
	}
	ok(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 2}}))
	step(t, d, api.CAOverlap)

	both := d.CA()
	file, err := os.ReadFile(filepath.Join(d.Dir, "ca.pem"))
	if err != nil || string(file) != string(both) || strings.Count(string(both), "BEGIN") != 2 {
		t.Errorf("ca.pem has %s, %v", file, err)
	}
	if state = must[api.CAState](t)(d.Authorities(ctx)); !state.Authorities[0].Signs || !state.Authorities[1].Serves {
		t.Errorf("in the overlap: %+v", state)
	}
	for name, ca := range map[string][]byte{"the old authority": old, "both": both} {
		if err := reaches(t, d, ca); err != nil {
			t.Errorf("who trusts %s: %v", name, err)
		}
	}
	must[api.CAState](t)(d.RetireCA(ctx, admin, api.CARetire{}))
	if err := reaches(t, d, old); err == nil {
		t.Error("who trusts only the retired authority reaches the director")
	}
	if err := errors.Join(reaches(t, d, both), reaches(t, d, d.CA())); err != nil {
		t.Error(err)
	}
	// The machines drop the retired one, and serve.
	directortest.Await(t, 30*time.Second, "every machine has only the new authority", func() error {
		return exactlyTrusting(t, d)
	})
	ok(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 1}}))
	if n := machines(t, d, "shop"); n != 5 {
		t.Errorf("%d machines, want 5", n)
	}
	if state := must[api.CAState](t)(d.RotateCA(ctx, admin)); state.Step != api.CAIntroducing {
		t.Errorf("the next rotation: %+v", state)
	}
}

func exactlyTrusting(t *testing.T, d *directortest.Director) error {
	t.Helper()
	nodes, err := d.ApplicationNodes(t.Context(), d.Admin(), "shop")
	if err != nil {
		return err
	}
	want := d.Cloud.Spec(nodes[0].Application).Trust
	for _, n := range nodes {
		if has := d.Cloud.Trust(n.ID); has != want || n.State != api.NodeReady {
			return fmt.Errorf("node %s is %s and has %s, want %s", n.ID, n.State, has, want)
		}
	}
	return nil
}

// By force the old authority goes at once: machines that know only that one are replaced.
func TestRetireByForce(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{
		Lives:  app.Certificates{Node: 24 * time.Hour}, // nobody renews before the end of the test
		Timing: app.Timing{Silence: 50 * time.Millisecond, Replace: 200 * time.Millisecond},
	})
	shop(t, d, 1)
	must[api.CAState](t)(d.RotateCA(t.Context(), d.Admin()))
	state := must[api.CAState](t)(d.RetireCA(t.Context(), d.Admin(), api.CARetire{Force: true}))
	if state.Step != api.CASettled || len(state.Authorities) != 1 || !state.Authorities[0].Signs || !state.Authorities[0].Serves {
		t.Errorf("after it: %+v", state)
	}
	directortest.Await(t, 30*time.Second, "the manager is another one", func() error {
		nodes, err := d.ApplicationNodes(t.Context(), d.Admin(), "shop")
		for _, n := range nodes {
			if n.Role == api.ManagerRole && n.ID != "n1" && n.State == api.NodeReady {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("nodes %+v", nodes))
	})
}

// A machine that was given up and runs on all the same loses the connection that it has, and does not get another.
func TestGivenUpManagerIsCut(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	shop(t, d, 1)
	d.Cloud.Linger()
	succeed(t, d)(d.StopApplication(t.Context(), d.Admin(), "shop"))
	directortest.Await(t, 30*time.Second, "its connection is cut and refused", func() error {
		if d.Cloud.Refused("n1") == 0 {
			return errors.New("it is still connected")
		}
		return nil
	})
}

// Machines boot as ever while the clock of the database is a day behind or ahead of what it was: patience is not counted by it.
func TestPatienceIsNotCountedByTheClock(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		d := start(t, directortest.Options{Now: func() time.Time { return time.Now().Add(jump) }})
		shop(t, d, 3)
		for _, n := range must[[]api.Node](t)(d.ApplicationNodes(t.Context(), d.Admin(), "shop")) {
			if n.Attempt != 1 || n.State != api.NodeReady {
				t.Errorf("jump of %s: node %+v", jump, n)
			}
		}
		if n := d.Cloud.Launches(); n != 4 {
			t.Errorf("jump of %s: %d launches for 4 nodes", jump, n)
		}
	}
}
