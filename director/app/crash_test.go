package app_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/directortest"
)

var errCrash = errors.New("the director has crashed")

// crasher stops a director from writing anything more once a failpoint is reached, as kill -9 at that place does.
type crasher struct {
	at      string // "" for none
	crashed atomic.Bool

	mu   sync.Mutex
	seen []string
}

func (c *crasher) failpoint(name string) error {
	c.mu.Lock()
	if !slices.Contains(c.seen, name) {
		c.seen = append(c.seen, name)
	}
	c.mu.Unlock()
	if name == c.at {
		c.crashed.Store(true)
	}
	if c.crashed.Load() {
		return errCrash
	}
	return nil
}

// life drives an application through its life. Each phase is what a user would do again after the director was down.
type life struct {
	t     *testing.T
	dir   string
	cloud *directortest.Cloud
	crash *crasher
	d     *directortest.Director
	given bool // the user's volume
}

// run goes through all phases; a crash in one of them restarts the director, and the phase.
func (l *life) run() {
	for i, phase := range []func() error{l.open, l.grow, l.give, l.lose, l.rotate, l.retire, l.shrink, l.halt, l.resume, l.remove} {
		for {
			err := phase()
			if err == nil {
				break
			}
			if !l.crash.crashed.Load() {
				l.t.Fatalf("phase %d: %v", i, err)
			}
			l.restart()
		}
	}
	if machines, _ := l.cloud.List(l.t.Context()); len(machines) > 0 {
		l.t.Errorf("machines are left: %+v", machines)
	}
	if broken := l.cloud.Broken(); len(broken) > 0 {
		l.t.Error(broken)
	}
	operations, err := l.d.Operations(l.t.Context(), l.d.Admin(), "", app.Page{})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, op := range operations.Items {
		if !op.State.Final() {
			l.t.Errorf("operation %s (%s) is %s for ever: %s", op.ID, op.Kind, op.State, op.Progress)
		}
	}
}

// restart is a new process on what the crashed one has left.
func (l *life) restart() {
	if l.d != nil {
		_ = l.d.Stop() // says that it has crashed
		l.d = nil
	}
	l.crash.crashed.Store(false)
	l.crash.at = ""
}

func (l *life) open() (err error) {
	if l.d == nil {
		l.d, err = directortest.Open(l.t, directortest.Options{
			Dir: l.dir, Cloud: l.cloud, Failpoint: l.crash.failpoint,
			Timing: app.Timing{Sweep: 20 * time.Millisecond, Stray: 50 * time.Millisecond},
			Lives:  app.Certificates{Node: 20 * time.Second}, Kinds: withVolumes(), Keep: 50 * time.Millisecond,
		})
	}
	return err
}

// serving waits until exactly count machines serve, beside the manager's.
func (l *life) serving(count int) error {
	return l.crash.await(l.t, fmt.Sprintf("%d machines serve", count), func() error {
		nodes, err := l.d.ApplicationNodes(l.t.Context(), l.d.Admin(), "shop")
		if err != nil {
			return err
		}
		machines, err := l.cloud.List(l.t.Context())
		if err != nil {
			return err
		}
		if err := exactly(nodes, machines, count); err != nil {
			return err
		}
		return l.volumes(nodes)
	})
}

// volumes tells what is wrong with the volumes: each machine has its own, the user's is at one of them, and nothing else is there.
func (l *life) volumes(nodes []api.Node) error {
	list, err := l.d.Volumes(l.t.Context(), l.d.Admin(), "shop", app.Page{})
	if err != nil {
		return err
	}
	have := map[string]int{}
	for _, v := range list.Items {
		name, _, _ := strings.Cut(v.Name, "-")
		waits := name == "files" && len(nodes) == 2 && v.State == api.VolumeAvailable // its machine was removed
		if len(nodes) > 0 && v.State != api.VolumeAttached && !waits || len(nodes) == 0 && v.State != api.VolumeAvailable {
			return fmt.Errorf("volume %s is %s at %q: %s", v.Name, v.State, v.Node, v.Reason)
		}
		have[name]++
		have[string(v.Node)+"/"+name]++
	}
	for _, n := range nodes {
		if n.Role != api.ManagerRole && have[string(n.ID)+"/data"] != 1 {
			return fmt.Errorf("node %s has not its volume: %v", n.ID, list.Items)
		}
	}
	if machines := max(len(nodes)-1, 0); machines > 0 && have["data"] != machines || have["files"] > 1 || l.given && have["files"] != 1 {
		return fmt.Errorf("there are the volumes %v", have)
	}
	listed, err := l.cloud.Volumes(l.t.Context())
	if err == nil && len(listed) != len(list.Items) {
		err = fmt.Errorf("the cloud has %d volumes, want %d", len(listed), len(list.Items))
	}
	return err
}

// give gives the oldest machine a volume of the user's.
func (l *life) give() error {
	if err := l.open(); err != nil {
		return err
	}
	ctx, admin := l.t.Context(), l.d.Admin()
	_, err := l.d.Volume(ctx, admin, "shop", "files")
	if api.CodeFrom(err) == api.CodeNotFound {
		_, err = l.d.CreateVolume(ctx, admin, "shop", api.VolumeCreate{Name: "files", SizeMiB: 64})
	}
	if err == nil {
		var nodes []api.Node
		if nodes, err = l.d.ApplicationNodes(ctx, admin, "shop"); err == nil {
			_, err = l.d.AttachVolume(ctx, admin, "shop", "files", api.VolumeAttach{Node: nodes[1].ID})
		}
	}
	if err != nil {
		return err
	}
	l.given = true
	return l.serving(3)
}

// await waits until ok gives nil; errCrash: the director has crashed meanwhile.
func (c *crasher) await(t *testing.T, what string, ok func() error) error {
	t.Helper()
	crashed := false
	directortest.Await(t, time.Minute, what, func() error {
		if crashed = c.crashed.Load(); crashed {
			return nil
		}
		return ok()
	})
	if crashed {
		return errCrash
	}
	return nil
}

func exactly(nodes []api.Node, machines []cloud.Machine, count int) error {
	if count > 0 {
		count++ // the manager
	}
	if len(nodes) != count || len(machines) != count {
		return fmt.Errorf("%d nodes, %d machines, want %d", len(nodes), len(machines), count)
	}
	for _, n := range nodes {
		if n.State != api.NodeReady {
			return fmt.Errorf("node %s is %s: %s", n.ID, n.State, n.Reason)
		}
	}
	return nil
}

func (l *life) grow() error {
	if err := l.open(); err != nil {
		return err
	}
	ctx, admin := l.t.Context(), l.d.Admin()
	if _, err := l.d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}); err != nil && api.CodeFrom(err) != api.CodeConflict {
		return err
	}
	service, err := l.d.Service(ctx, admin, "shop", "helloworld")
	if api.CodeFrom(err) == api.CodeNotFound {
		service, err = l.d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: "helloworld"})
	}
	if err != nil {
		return err
	}
	if _, err := l.d.StartService(ctx, admin, "shop", "helloworld"); err != nil {
		return err
	}
	if missing := 3 - service.Nodes["node"]; missing > 0 {
		if _, err := l.d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": missing}}); err != nil {
			return err
		}
	}
	return l.serving(3)
}

// lose is the end of a machine of each kind.
func (l *life) lose() error {
	if err := l.open(); err != nil {
		return err
	}
	nodes, err := l.d.ApplicationNodes(l.t.Context(), l.d.Admin(), "shop")
	if err != nil {
		return err
	}
	for _, n := range nodes[:min(2, len(nodes))] {
		l.cloud.Kill(n.ID)
	}
	return l.serving(3)
}

// rotate has the new authority of the CA sign, and every machine renew.
func (l *life) rotate() error {
	if err := l.open(); err != nil {
		return err
	}
	state, err := l.d.Authorities(l.t.Context())
	if err == nil && state.Step == api.CASettled {
		_, err = l.d.RotateCA(l.t.Context(), l.d.Admin())
	}
	if err != nil {
		return err
	}
	err = l.crash.await(l.t, "the rotation ends", func() error {
		state, err := l.d.Authorities(l.t.Context())
		if err == nil && state.Step != api.CAOverlap {
			err = fmt.Errorf("it is at the step %s: %+v", state.Step, state)
		}
		return err
	})
	if err != nil {
		return err
	}
	return l.serving(3)
}

// retire leaves the new authority alone.
func (l *life) retire() error {
	if err := l.open(); err != nil {
		return err
	}
	state, err := l.d.Authorities(l.t.Context())
	if err == nil && state.Step != api.CASettled {
		state, err = l.d.RetireCA(l.t.Context(), l.d.Admin(), api.CARetire{})
	}
	if err == nil && len(state.Authorities) != 1 {
		err = fmt.Errorf("%d authorities are left", len(state.Authorities))
	}
	if err != nil {
		return err
	}
	return l.serving(3)
}

func (l *life) shrink() error {
	if err := l.open(); err != nil {
		return err
	}
	service, err := l.d.Service(l.t.Context(), l.d.Admin(), "shop", "helloworld")
	if err != nil {
		return err
	}
	if extra := service.Nodes["node"] - 1; extra > 0 {
		if _, err := l.d.RemoveNodes(l.t.Context(), l.d.Admin(), "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": extra}}); err != nil {
			return err
		}
	}
	return l.serving(1)
}

func (l *life) halt() error {
	if err := l.open(); err != nil {
		return err
	}
	if _, err := l.d.StopApplication(l.t.Context(), l.d.Admin(), "shop"); err != nil {
		return err
	}
	return l.serving(0)
}

func (l *life) resume() error {
	if err := l.open(); err != nil {
		return err
	}
	if _, err := l.d.StartApplication(l.t.Context(), l.d.Admin(), "shop"); err != nil {
		return err
	}
	return l.serving(1)
}

func (l *life) remove() error {
	if err := l.open(); err != nil {
		return err
	}
	if _, err := l.d.DeleteApplication(l.t.Context(), l.d.Admin(), "shop"); err != nil && api.CodeFrom(err) != api.CodeNotFound {
		return err
	}
	return l.crash.await(l.t, "the application is gone", func() error {
		if _, err := l.d.Application(l.t.Context(), l.d.Admin(), "shop"); api.CodeFrom(err) != api.CodeNotFound {
			return fmt.Errorf("it is still there: %v", err)
		}
		if left, err := l.cloud.Volumes(l.t.Context()); err != nil || len(left) > 0 {
			return fmt.Errorf("volumes are left: %v, %v", left, err)
		}
		return nil
	})
}

func newLife(t *testing.T, at string) *life {
	l := &life{t: t, dir: t.TempDir(), cloud: directortest.NewCloud(), crash: &crasher{at: at}}
	t.Cleanup(l.cloud.Close)
	t.Cleanup(func() {
		if l.d != nil {
			_ = l.d.Stop()
		}
	})
	return l
}

// A crash before or after any transaction of the whole life of an application changes nothing of its outcome: exactly the
// machines that are wanted, none left over, and every operation ends.
func TestCrashAnywhere(t *testing.T) {
	t.Parallel()
	whole := newLife(t, "")
	whole.run()
	names := slices.Clone(whole.crash.seen)
	slices.Sort(names)
	for _, want := range []string{"node.launch/before", "node.launched/after", "node.join/after", "node.deleted/before", "manager.reserved/after", "ca.introduced/after", "ca.signing/before", "ca.retired/after", "node.trust/before", "volume.create/after", "volume.created/before", "volume.attach/after", "volume.detached/before", "volume.abandon/after", "volume.delete/after"} {
		if !slices.Contains(names, want) {
			t.Fatalf("the life of an application never reaches %s: %s", want, strings.Join(names, " "))
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newLife(t, name).run()
		})
	}
}
