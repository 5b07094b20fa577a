package generic

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// direct carries out what the plan says: machines, versions and commands, as the director does.
func (w *world) direct() {
	have := map[api.Role]int{}
	for id, b := range w.machines {
		if slices.Contains(w.plan.Delete, id) {
			w.say("%s is removed", id)
			delete(w.machines, id)
			continue
		}
		if slices.Contains(w.plan.Drain, id) {
			b.info.State = api.NodeDraining
		}
		if b.info.State != api.NodeDraining {
			have[b.info.Role]++
		}
		if b.info.State == api.NodeJoined && b.connected && b.facts.Version != "" {
			b.info.State = api.NodeReady
		}
	}
	for _, r := range []api.Role{api.RoleMaster, api.RoleNode} {
		for range w.plan.Wanted[r] - have[r] {
			w.add(r)
		}
	}
	w.plan.Wanted, w.plan.Delete, w.plan.Drain = nil, nil, nil
	w.code()
	w.end()
	w.plan.Code, w.plan.Commands = nil, nil
}

func (w *world) code() {
	c := *w.spec.Code
	if w.plan.Code == nil || c.Wanted == c.Serving {
		return
	}
	switch c.Wanted {
	case w.plan.Code.Serving:
		w.say("%s serves", c.Wanted)
		for _, b := range w.living() {
			if b.info.Key != "" && b.info.State != api.NodeDraining && b.facts.Version != c.Wanted && b.facts.Version != "" {
				w.fail("%s is said to be in use, and %s uses %s", c.Wanted, b.info.ID, b.facts.Version)
			}
		}
		c.Serving = c.Wanted
	case w.plan.Code.Refused:
		w.say("%s is refused: %s", c.Wanted, w.plan.Code.Reason)
		c.Wanted = c.Serving
	default:
		return
	}
	c.Versions = []api.CodeBlob{{ID: c.Wanted}}
	w.spec.Code = &c
}

// end ends a command that all have answered.
func (w *world) end() {
	command, status := w.spec.Command, w.plan.Commands
	if command == nil || status == nil || status.Number != command.Number {
		return
	}
	for _, id := range command.Nodes {
		if b := w.machines[id]; b != nil && !b.dead && b.info.State != api.NodeDraining && b.begun[command.Number] == 0 {
			w.fail("command %d ends, and %s has not answered it", command.Number, id)
		}
	}
	w.closed = append(w.closed, status.Refused)
	w.spec.Command = nil
}

// command gives one, when the rules let it through.
func (w *world) command(name string) bool {
	w.push()
	if w.spec.Command != nil || w.spec.Code.Wanted != w.spec.Code.Serving || len(w.plan.Commands.Running) > 0 != (name == api.GenericInterrupt) {
		return false
	}
	c := &api.Command{Number: w.number + 1, Name: name}
	for _, b := range w.living() {
		if b.info.Key != "" && b.info.State != api.NodeDraining {
			c.Nodes = append(c.Nodes, b.info.ID)
		}
	}
	if len(c.Nodes) == 0 {
		return false
	}
	w.number, w.spec.Command = c.Number, c
	w.say("%s is number %d for %v", name, c.Number, c.Nodes)
	return true
}

func (w *world) enable(version string) {
	w.push()
	c := *w.spec.Code
	if w.spec.Command != nil || len(w.plan.Commands.Running) > 0 {
		return
	}
	c.Wanted, c.Versions = version, []api.CodeBlob{{ID: version}}
	if version != c.Serving {
		c.Versions = append(c.Versions, api.CodeBlob{ID: c.Serving})
	}
	w.spec.Code = &c
	w.say("enable %s", version)
}

// quiet lets everything happen that is to happen when nothing goes wrong any more, but for the end of programs.
func (w *world) quiet() {
	for range 40 {
		for _, id := range w.ids() {
			if w.machines[id].dead {
				delete(w.machines, id)
			}
		}
		for _, b := range w.living() {
			w.boot(b)
			w.connect(b)
		}
		w.push()
		for _, b := range w.living() {
			for len(b.sent) > 0 {
				w.take(b)
			}
			for range 8 {
				w.work(b)
			}
			w.report(b)
		}
		w.push()
		w.direct()
	}
}

// settled tells what is not as it should be when all is quiet and no program runs.
func (w *world) settled() error {
	if w.err != nil {
		return w.err
	}
	c := w.spec.Code
	var members []api.GenericMember
	for _, r := range []api.Role{api.RoleMaster, api.RoleNode} {
		for _, b := range w.living() {
			if b.info.Role == r {
				members = append(members, api.GenericMember{ID: b.info.ID, IP: b.info.Overlay, Role: r})
			}
		}
	}
	for _, b := range w.living() {
		if b.facts.Version != c.Serving || b.notified != fmt.Sprint(c.Serving, members) {
			return fmt.Errorf("%s uses %s and was told of %s; want %s and %v", b.info.ID, b.facts.Version, b.notified, c.Serving, members)
		}
		for number, times := range b.begun {
			if times > 1 {
				return fmt.Errorf("%s has begun command %d %d times", b.info.ID, number, times)
			}
		}
	}
	if c.Wanted != c.Serving || w.spec.Command != nil || w.plan.State != api.StateRunning && len(members) == w.spec.Nodes[api.RoleMaster]+w.spec.Nodes[api.RoleNode] {
		return fmt.Errorf("%+v, %+v, %s: %s", c, w.spec.Command, w.plan.State, w.plan.Reason)
	}
	return nil
}

// Whatever happens in whatever order: a version whose init fails is never used, a command ends when all that it was for have begun it
// once, and in the end all use one version and know each other.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.broken["code-broken"] = true
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(w.said, "\n"))
			}
		}()
		pick := func(t *rapid.T) *box {
			if ids := w.ids(); len(ids) > 0 {
				return w.machines[rapid.SampledFrom(ids).Draw(t, "machine")]
			}
			return &box{dead: true}
		}
		event := func(f func(*rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) {
				if f(t); w.err != nil {
					t.Fatal(w.err)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push":   event(func(*rapid.T) { w.push() }),
			"direct": event(func(*rapid.T) { w.push(); w.direct() }),
			"boot":   event(func(t *rapid.T) { b := pick(t); w.boot(b); w.connect(b) }),
			"take":   event(func(t *rapid.T) { w.take(pick(t)) }),
			"work":   event(func(t *rapid.T) { w.work(pick(t)) }),
			"report": event(func(t *rapid.T) { w.report(pick(t)) }),
			"quiet":  event(func(*rapid.T) { w.quiet() }),
			"silent": event(func(t *rapid.T) { b := pick(t); b.connected = false; w.say("%s is silent", b.info.ID) }),
			"heard":  event(func(t *rapid.T) { w.connect(pick(t)) }),
			"die":    event(func(t *rapid.T) { b := pick(t); b.dead, b.connected = true, false; w.say("%s dies", b.info.ID) }),
			"replace": event(func(t *rapid.T) {
				if b := pick(t); b.dead {
					delete(w.machines, b.info.ID)
				}
			}),
			"manager": event(func(*rapid.T) {
				w.say("another manager begins")
				for _, b := range w.machines {
					b.status, b.applied, b.sentLast, b.doubt, b.connected = nil, "", "", false, false
				}
			}),
			"end": event(func(t *rapid.T) {
				if b := pick(t); b.facts.Scripts != nil {
					b.facts.Scripts[api.GenericRun] = api.GenericScript{}
				}
			}),
			"scale": event(func(t *rapid.T) {
				w.spec.Nodes = map[api.Role]int{api.RoleMaster: 1, api.RoleNode: rapid.IntRange(0, 3).Draw(t, "nodes")}
			}),
			"enable": event(func(t *rapid.T) {
				w.enable(rapid.SampledFrom([]string{"code-a", "code-b", "code-broken"}).Draw(t, "version"))
			}),
			"run":       event(func(*rapid.T) { w.command(api.GenericRun) }),
			"interrupt": event(func(*rapid.T) { w.command(api.GenericInterrupt) }),
		})
		for range 3 {
			for _, b := range w.living() {
				b.facts.Scripts[api.GenericRun] = api.GenericScript{}
			}
			w.quiet()
		}
		if err := w.settled(); err != nil {
			t.Fatal(err)
		}
		pushes := w.pushes
		w.quiet()
		if w.pushes != pushes {
			t.Fatalf("%d specs are sent though all is well", w.pushes-pushes)
		}
	})
}
