package mysql

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// Whatever happens in whatever order, there are never two clusters, no acknowledged change is thrown away that a machine still has, and in
// the end everything is as wanted.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
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
		if rapid.Bool().Draw(t, "settled") {
			w.spec.Nodes[api.RoleMySQL] = rapid.IntRange(1, 4).Draw(t, "at first")
			w.quiet()
		}
		event := func(f func(*rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) {
				f(t)
				if w.err != nil {
					t.Fatal(w.err)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push":   event(func(*rapid.T) { w.push() }),
			"direct": event(func(*rapid.T) { w.push(); w.direct() }),
			"boot":   event(func(t *rapid.T) { b := pick(t); w.boot(b); w.connect(b) }),
			"apply":  event(func(t *rapid.T) { w.apply(pick(t), false) }),
			"apply and be killed": event(func(t *rapid.T) {
				b := pick(t)
				w.apply(b, true)
				b.connected = false
			}),
			"launch": event(func(t *rapid.T) { w.launch(pick(t)) }),
			"gather": event(func(*rapid.T) { w.gather() }),
			"report": event(func(t *rapid.T) { w.report(pick(t)) }),
			"write":  event(func(t *rapid.T) { w.write(nil) }),
			"lag":    event(func(t *rapid.T) { w.write(pick(t)) }),
			"quiet":  event(func(*rapid.T) { w.quiet() }),
			"crash":  event(func(t *rapid.T) { b := pick(t); w.say("the server of %s crashes", b.info.ID); w.crash(b) }),
			"isolate": event(func(t *rapid.T) {
				b := pick(t)
				b.alone = !b.alone
				w.say("%s alone: %t", b.info.ID, b.alone)
				w.gather()
			}),
			"silent": event(func(t *rapid.T) { b := pick(t); b.connected = false; w.say("%s is silent", b.info.ID) }),
			"heard":  event(func(t *rapid.T) { w.connect(pick(t)) }),
			"die": event(func(t *rapid.T) {
				b := pick(t)
				w.say("%s dies", b.info.ID)
				b.dead, b.connected, b.process, b.view = true, false, false, nil
				w.gather()
			}),
			"replace": event(func(t *rapid.T) {
				if b := pick(t); b.dead {
					w.say("%s is given up", b.info.ID)
					delete(w.machines, b.info.ID)
				}
			}),
			"manager": event(func(*rapid.T) {
				w.say("another manager begins")
				for _, b := range w.machines {
					b.status, b.applied, b.sentLast, b.doubt, b.connected = nil, "", "", false, false
				}
			}),
			"scale": event(func(t *rapid.T) {
				w.spec.Nodes = map[api.Role]int{api.RoleMySQL: rapid.IntRange(1, 4).Draw(t, "mysql"), api.RoleGLB: rapid.IntRange(0, 2).Draw(t, "glb")}
				w.say("scale to %v", w.spec.Nodes)
			}),
		})
		w.quiet()
		if err := w.done(); err != nil {
			t.Fatal(err)
		}
		pushes := w.pushes
		w.quiet()
		if w.pushes != pushes {
			t.Fatalf("%d specs are sent though all is well", w.pushes-pushes)
		}
	})
}
