package generic

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// direct carries out what the plan says: machines, versions and commands, as the director does.
func (w *world) direct() {
	w.Direct(api.RoleMaster, api.RoleNode)
	for _, b := range w.Living() {
		if b.Info.State == api.NodeJoined && b.Connected && b.facts.Version != "" {
			b.Info.State = api.NodeReady
		}
	}
	w.code()
	w.end()
	w.Plan.Code, w.Plan.Commands = nil, nil
}

func (w *world) code() {
	c := *w.Spec.Code
	if w.Plan.Code == nil || c.Wanted == c.Serving {
		return
	}
	switch c.Wanted {
	case w.Plan.Code.Serving:
		w.Say("%s serves", c.Wanted)
		for _, b := range w.Living() {
			if b.Info.Key != "" && b.Info.State != api.NodeDraining && b.facts.Version != c.Wanted && b.facts.Version != "" {
				w.Fail("%s is said to be in use, and %s uses %s", c.Wanted, b.Info.ID, b.facts.Version)
			}
		}
		c.Serving = c.Wanted
	case w.Plan.Code.Refused:
		w.Say("%s is refused: %s", c.Wanted, w.Plan.Code.Reason)
		c.Wanted = c.Serving
	default:
		return
	}
	c.Versions = []api.CodeBlob{{ID: c.Wanted}}
	w.Spec.Code = &c
}

// end ends a command that all have answered.
func (w *world) end() {
	command, status := w.Spec.Command, w.Plan.Commands
	if command == nil || status == nil || status.Number != command.Number {
		return
	}
	for _, id := range command.Nodes {
		if b := w.Machines[id]; b != nil && !b.Dead && b.Info.State != api.NodeDraining && b.begun[command.Number] == 0 {
			w.Fail("command %d ends, and %s has not answered it", command.Number, id)
		}
	}
	w.Spec.Command = nil
}

// command gives one, when the rules let it through.
func (w *world) command(name string) bool {
	w.push()
	if w.Spec.Command != nil || w.Spec.Code.Wanted != w.Spec.Code.Serving || len(w.Plan.Commands.Running) > 0 != (name == api.GenericInterrupt) {
		return false
	}
	c := &api.Command{Number: w.number + 1, Name: name}
	for _, b := range w.Living() {
		if b.Info.Key != "" && b.Info.State != api.NodeDraining {
			c.Nodes = append(c.Nodes, b.Info.ID)
		}
	}
	if len(c.Nodes) == 0 {
		return false
	}
	w.number, w.Spec.Command = c.Number, c
	w.Say("%s is number %d for %v", name, c.Number, c.Nodes)
	return true
}

func (w *world) enable(version string) {
	w.push()
	c := *w.Spec.Code
	if w.Spec.Command != nil || len(w.Plan.Commands.Running) > 0 {
		return
	}
	c.Wanted, c.Versions = version, []api.CodeBlob{{ID: version}}
	if version != c.Serving {
		c.Versions = append(c.Versions, api.CodeBlob{ID: c.Serving})
	}
	w.Spec.Code = &c
	w.Say("enable %s", version)
}

// quiet lets everything happen that is to happen when nothing goes wrong any more, but for the end of programs.
func (w *world) quiet() {
	for range 40 {
		for _, id := range w.IDs() {
			w.GiveUp(w.Machines[id])
		}
		for _, b := range w.Living() {
			w.Boot(b)
			w.Connect(b)
		}
		w.push()
		for _, b := range w.Living() {
			for len(b.Sent) > 0 {
				w.take(b)
			}
			for range 8 {
				w.work(b)
			}
			w.Report(b)
		}
		w.push()
		w.direct()
	}
}

// settled tells what is not as it should be when all is quiet and no program runs.
func (w *world) settled() error {
	if w.Err != nil {
		return w.Err
	}
	c := w.Spec.Code
	var members []api.GenericMember
	for _, r := range []api.Role{api.RoleMaster, api.RoleNode} {
		for _, b := range w.Living() {
			if b.Info.Role == r {
				members = append(members, api.GenericMember{ID: b.Info.ID, IP: b.Info.Overlay, Role: r})
			}
		}
	}
	for _, b := range w.Living() {
		if b.facts.Version != c.Serving || b.notified != fmt.Sprint(c.Serving, members) {
			return fmt.Errorf("%s uses %s and was told of %s; want %s and %v", b.Info.ID, b.facts.Version, b.notified, c.Serving, members)
		}
		for number, times := range b.begun {
			if times > 1 {
				return fmt.Errorf("%s has begun command %d %d times", b.Info.ID, number, times)
			}
		}
	}
	if c.Wanted != c.Serving || w.Spec.Command != nil || w.Plan.State != api.StateRunning && len(members) == w.Spec.Nodes[api.RoleMaster]+w.Spec.Nodes[api.RoleNode] {
		return fmt.Errorf("%+v, %+v, %s: %s", c, w.Spec.Command, w.Plan.State, w.Plan.Reason)
	}
	return nil
}

// Whatever happens in whatever order: a version whose init fails is never used, a command ends when all that it was for have begun it
// once, and in the end all use one version and know each other.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.broken["code-broken"] = true
		defer w.Explain(t)
		events := w.Events()
		maps.Copy(events, map[string]func(*rapid.T){
			"push":   func(*rapid.T) { w.push() },
			"direct": func(*rapid.T) { w.push(); w.direct() },
			"take":   func(t *rapid.T) { w.take(w.Pick(t)) },
			"work":   func(t *rapid.T) { w.work(w.Pick(t)) },
			"quiet":  func(*rapid.T) { w.quiet() },
			"end":    func(t *rapid.T) { w.Pick(t).facts.Scripts[api.GenericRun] = api.GenericScript{} },
			"scale": func(t *rapid.T) {
				w.Spec.Nodes = map[api.Role]int{api.RoleMaster: 1, api.RoleNode: rapid.IntRange(0, 3).Draw(t, "nodes")}
			},
			"enable": func(t *rapid.T) {
				w.enable(rapid.SampledFrom([]string{"code-a", "code-b", "code-broken"}).Draw(t, "version"))
			},
			"run":       func(*rapid.T) { w.command(api.GenericRun) },
			"interrupt": func(*rapid.T) { w.command(api.GenericInterrupt) },
		})
		t.Repeat(events)
		for range 3 {
			for _, b := range w.Living() {
				b.facts.Scripts[api.GenericRun] = api.GenericScript{}
			}
			w.quiet()
		}
		if err := w.settled(); err != nil {
			t.Fatal(err)
		}
		pushes := w.Pushes
		w.quiet()
		if w.Pushes != pushes {
			t.Fatalf("%d specs are sent though all is well", w.Pushes-pushes)
		}
	})
}
