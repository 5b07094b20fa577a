package app_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/director/directortest"
)

// scripts are what the machines of a generic service say of themselves.
type scripts struct {
	mu      sync.Mutex
	deaf    bool // they begin no command
	number  uint64
	refused string
	running []api.RunningProgram
	lacks   []string
	seen    []api.Command
}

// set changes what they say.
func (s *scripts) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *scripts) commands() []api.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// say puts it into what the manager reports; spec is what that was told.
func (s *scripts) say(cloud *directortest.Cloud, application api.ApplicationID) func(api.ManagerReport) []api.ManagerReport {
	return func(r api.ManagerReport) []api.ManagerReport {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, service := range cloud.Spec(application).Application.Services {
			if c := service.Command; c != nil {
				if !slices.ContainsFunc(s.seen, func(o api.Command) bool { return o.Number == c.Number }) {
					s.seen = append(s.seen, *c)
				}
				if !s.deaf {
					s.number = c.Number
				}
			}
		}
		for i := range r.Services {
			r.Services[i].Commands = &api.CommandStatus{Number: s.number, Refused: s.refused, Running: slices.Clone(s.running), Lacks: slices.Clone(s.lacks)}
		}
		return []api.ManagerReport{r}
	}
}

func generic(t *testing.T, d *directortest.Director) (*scripts, *director.Client) {
	t.Helper()
	ctx := t.Context()
	shop := must[api.Application](t)(d.CreateApplication(ctx, d.Admin(), api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(ctx, d.Admin(), "shop", api.ServiceCreate{Type: api.Generic, Name: "jobs"}))
	s := &scripts{}
	d.Cloud.Lie(s.say(d.Cloud, shop.ID))
	succeed(t, d)(d.StartService(ctx, d.Admin(), "shop", "jobs"))
	return s, login(t, d)
}

// refusedWith waits until a call is refused with these words: what runs is known by reports.
func refusedWith(t *testing.T, want string, call func() (api.Operation, error)) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err = call(); err != nil && strings.Contains(err.Error(), want) {
			if code := api.CodeFrom(err); code != api.CodeConflict {
				t.Errorf("%v is %s", err, code)
			}
			return
		}
	}
	t.Fatalf("%v, want %q", err, want)
}

func TestCommands(t *testing.T) {
	d := directortest.Start(t, directortest.Options{})
	s, c := generic(t, d)
	ctx := t.Context()
	run := func(name string, params ...string) func() (api.Operation, error) {
		return func() (api.Operation, error) { return c.Command(ctx, "shop", "jobs", name, params) }
	}
	succeed(t, d)(run("run", "a b", "c")())
	op := must[api.Operation](t)(run("cleanup")())
	if op.Kind != api.OpServiceCommand {
		t.Errorf("%+v", op)
	}
	succeed(t, d)(op, nil)
	seen := s.commands()
	if len(seen) != 2 || seen[0].Name != "run" || !slices.Equal(seen[0].Parameters, []string{"a b", "c"}) || len(seen[0].Nodes) != 1 || seen[1].Number <= seen[0].Number {
		t.Errorf("the machines are told %+v", seen)
	}
	refusedWith(t, "nothing runs", run("interrupt"))

	// While something runs: no other program, no other code, no volume; an interrupt is for then.
	s.set(func() { s.running = []api.RunningProgram{{Node: "n2", Name: "run.sh"}} })
	refusedWith(t, "run.sh runs on n2", run("cleanup"))
	v := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "jobs", upload(archiveOf(t, "run.sh", "true"), false)))
	refusedWith(t, "run.sh runs on n2", func() (api.Operation, error) { return c.EnableCode(ctx, "shop", "jobs", v.ID) })
	succeed(t, d)(run("interrupt")())
	s.set(func() { s.running = nil })
	refusedWith(t, "nothing runs", run("interrupt"))
	succeed(t, d)(c.EnableCode(ctx, "shop", "jobs", v.ID))

	// One that is refused on a machine has failed; one for which there is no script is not begun.
	s.set(func() { s.refused = "n2: it is tired" })
	op = must[api.Operation](t)(run("run")())
	if op = d.Finish(t, op); op.State != api.OperationFailed || !strings.Contains(op.Error.Detail, "n2: it is tired") {
		t.Errorf("%+v", op)
	}
	s.set(func() { s.refused, s.lacks = "", []string{"run"} })
	refusedWith(t, "has no program for run", run("run"))
	s.set(func() { s.lacks = nil })

	for want, call := range map[string]func() (api.Operation, error){
		"there are: run, interrupt, cleanup": run("dance"),
		"NUL":                                run("run", "\x00"),
		"65 parameters":                      run("run", make([]string, 65)...),
		"at most 1": func() (api.Operation, error) {
			return c.AddNodes(ctx, "shop", "jobs", api.NodesChange{Nodes: map[api.Role]int{api.RoleMaster: 1}})
		},
	} {
		if _, err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A command that is on its way is there after a restart of the director, keeps others out, is overtaken by an interrupt, and can be cancelled.
func TestCommandsUnderWay(t *testing.T) {
	dir, cloud := t.TempDir(), directortest.NewCloud()
	t.Cleanup(cloud.Close)
	d := directortest.Start(t, directortest.Options{Dir: dir, Cloud: cloud})
	s, c := generic(t, d)
	ctx := t.Context()
	s.set(func() { s.deaf = true })
	first := must[api.Operation](t)(c.Command(ctx, "shop", "jobs", "run", nil))
	refusedWith(t, "is on its way", func() (api.Operation, error) { return c.Command(ctx, "shop", "jobs", "cleanup", nil) })
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d = directortest.Start(t, directortest.Options{Dir: dir, Cloud: cloud})
	c = login(t, d)
	refusedWith(t, "is on its way", func() (api.Operation, error) { return c.Command(ctx, "shop", "jobs", "cleanup", nil) })
	var interrupt api.Operation
	for deadline := time.Now().Add(20 * time.Second); interrupt.ID == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		interrupt, _ = c.Command(ctx, "shop", "jobs", "interrupt", nil) // unavailable until the manager is there again
	}
	if first = d.Finish(t, first); first.State != api.OperationCancelled {
		t.Errorf("%+v", first)
	}
	must[api.Operation](t)(c.CancelOperation(ctx, interrupt.ID))
	s.set(func() { s.deaf = false })
	succeed(t, d)(c.Command(ctx, "shop", "jobs", "run", nil))
}
