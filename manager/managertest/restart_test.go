package managertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"conpaas/client/api"
)

// A manager that was killed goes on with what it has kept, before its director says a word, and disturbs nobody.
func TestRestartGoesOn(t *testing.T) {
	_, m, agents, s := serving(t, 3)
	m.Stop()
	m.Start()
	m.Watch()
	m.AwaitSettled(1)
	for _, a := range agents {
		if seen, _ := a.Look(); len(seen.Specs) != 1 || len(seen.Deltas) != 0 || seen.Sessions != 2 {
			t.Errorf("node %s was sent %d specs and %d changes on %d connections; want its first spec only", a.Info.ID, len(seen.Specs), len(seen.Deltas), seen.Sessions)
		}
	}
	// The epoch is kept as well.
	err := m.PutApplication(t.Context(), api.Epoch{Fence: 1, Incarnation: 1}, s)
	if api.CodeFrom(err) != api.CodeStale {
		t.Errorf("after a restart an older spec gets %v, want %s", err, api.CodeStale)
	}
}

func TestStaleDirectorIsRefused(t *testing.T) {
	d, m, _, s := serving(t, 1)
	m.SetEpoch(api.Epoch{Fence: 2, Incarnation: 1, Revision: 1})
	m.Put(s)
	old := api.Epoch{Fence: 1, Incarnation: 1, Revision: 9}
	if err := m.PutApplication(t.Context(), old, s); api.CodeFrom(err) != api.CodeStale {
		t.Errorf("a spec of a deposed director gets %v, want %s", err, api.CodeStale)
	}
	for _, err := range m.Stream(t.Context(), old, nil) {
		if api.CodeFrom(err) != api.CodeStale {
			t.Errorf("the stream of a deposed director gets %v, want %s", err, api.CodeStale)
		}
		break
	}
	for _, err := range m.Exec(t.Context(), old, "n1", api.ExecRequest{Command: []string{"true"}}) {
		if api.CodeFrom(err) != api.CodeStale {
			t.Errorf("a command of a deposed director gets %v, want %s", err, api.CodeStale)
		}
	}
	e := m.Epoch()
	e.Revision--
	if err := d.Client(m.Node).PutApplication(t.Context(), e, s); api.CodeFrom(err) != api.CodeStale {
		t.Errorf("a spec that was overtaken gets %v, want %s", err, api.CodeStale)
	}
}

func TestWrongSpecsAreRefused(t *testing.T) {
	_, m, agents, s := serving(t, 1)
	for field, change := range map[string]func(*api.ManagerSpec){
		"application.id": func(s *api.ManagerSpec) { s.Application.ID++ },
		"application.services": func(s *api.ManagerSpec) {
			s.Application.Services = append(s.Application.Services, s.Application.Services[0])
		},
		"nodes": func(s *api.ManagerSpec) { s.Nodes = append(slices.Clone(s.Nodes), agents[0].Info) },
	} {
		wrong := s
		change(&wrong)
		err := m.PutApplication(t.Context(), m.Epoch(), wrong)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != api.CodeInvalid || e.Field != field {
			t.Errorf("%s: %v, want it refused for that field", field, err)
		}
	}
}

// A manager on another machine takes over without a word to agents that are as they should be; the old one, which
// still runs, is obeyed by nobody.
func TestReplacedManager(t *testing.T) {
	d, old, agents, s := serving(t, 3)
	next := d.StartManager("n1001", Application, Timing())
	next.SetEpoch(api.Epoch{Fence: 1, Incarnation: 2, Revision: 1})
	next.Put(s)
	next.Watch()
	for _, a := range agents {
		a.Disconnect()
		a.Connect(next)
	}
	next.AwaitSettled(1)
	for _, a := range agents {
		if seen, _ := a.Look(); len(seen.Specs) != 1 || len(seen.Deltas) != 0 {
			t.Errorf("node %s was sent %d specs and %d changes; want its first spec only", a.Info.ID, len(seen.Specs), len(seen.Deltas))
		}
	}
	// What changes now costs a change, though another manager has sent the list.
	added := d.NewAgent("n4", Application, 1, 4)
	s.Nodes = append(s.Nodes, added.Info)
	s.Application.Services[0].Nodes = map[api.Role]int{api.HelloworldNode: 4}
	s.Application.Revision = 2
	next.Put(s)
	added.Connect(next)
	next.AwaitSettled(2)
	for _, a := range agents {
		if seen, _ := a.Look(); len(seen.Specs) != 1 || len(seen.Deltas) != 1 {
			t.Errorf("node %s was sent %d specs and %d changes; want one change", a.Info.ID, len(seen.Specs), len(seen.Deltas))
		}
	}

	agents[0].Disconnect()
	agents[0].Connect(old)
	d.Await("the old manager is refused", func() bool { seen, _ := agents[0].Look(); return seen.Refused > 0 })
	if seen, _ := agents[0].Look(); len(seen.Specs) != 1 {
		t.Errorf("the old manager has sent a spec")
	}
}

// An agent that is silent for long, though its connection is alive, loses that.
func TestMuteAgentIsCut(t *testing.T) {
	d := NewDirector(t)
	timing := Timing()
	timing.Silence = 100 * time.Millisecond
	m := d.StartManager("n1000", Application, timing)
	a := d.NewAgent("n1", Application, 1, 1)
	a.Mute(true)
	m.Put(spec(1, 1, a.Info))
	a.Connect(m)
	d.Await("its connection is cut and it comes again", func() bool { seen, _ := a.Look(); return seen.Sessions > 1 })
}
