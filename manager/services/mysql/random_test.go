package mysql

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// Whatever happens in whatever order, there are never two clusters, no acknowledged change is thrown away that a machine still has, and in
// the end everything is as wanted.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		defer w.Explain(t)
		if rapid.Bool().Draw(t, "settled") {
			w.Spec.Nodes[api.RoleMySQL] = rapid.IntRange(1, 4).Draw(t, "at first")
			w.quiet()
		}
		events := w.Events()
		maps.Copy(events, map[string]func(*rapid.T){
			"push":                func(*rapid.T) { w.push() },
			"direct":              func(*rapid.T) { w.push(); w.direct() },
			"apply":               func(t *rapid.T) { w.apply(w.Pick(t), false) },
			"apply and be killed": func(t *rapid.T) { b := w.Pick(t); w.apply(b, true); b.Connected = false },
			"launch":              func(t *rapid.T) { w.launch(w.Pick(t)) },
			"gather":              func(*rapid.T) { w.gather() },
			"write":               func(t *rapid.T) { w.write(nil) },
			"lag":                 func(t *rapid.T) { w.write(w.Pick(t)) },
			"quiet":               func(*rapid.T) { w.quiet() },
			"crash":               func(t *rapid.T) { b := w.Pick(t); w.Say("the server of %s crashes", b.Info.ID); w.crash(b) },
			"isolate": func(t *rapid.T) {
				b := w.Pick(t)
				b.alone = !b.alone
				w.Say("%s alone: %t", b.Info.ID, b.alone)
				w.gather()
			},
			"die": func(t *rapid.T) {
				b := w.Pick(t)
				w.Lose(b)
				b.process, b.view = false, nil
				if b.Info.Role == api.RoleMySQL {
					w.volumes = append(w.volumes, b.database)
				}
				w.gather()
			},
			"scale": func(t *rapid.T) {
				w.Spec.Nodes = map[api.Role]int{api.RoleMySQL: rapid.IntRange(1, 4).Draw(t, "mysql"), api.RoleGLB: rapid.IntRange(0, 2).Draw(t, "glb")}
				w.volumes = nil // they may be of machines that are not wanted any more
				w.Say("scale to %v", w.Spec.Nodes)
			},
		})
		t.Repeat(events)
		w.quiet()
		if err := w.done(); err != nil {
			t.Fatal(err)
		}
		pushes := w.Pushes
		w.quiet()
		if w.Pushes != pushes {
			t.Fatalf("%d specs are sent though all is well", w.Pushes-pushes)
		}
	})
}
