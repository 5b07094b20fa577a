package hosting

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// Whatever happens in whatever order, requests that worked go on to work, and in the end everything is as wanted.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		defer w.Explain(t)
		events := w.Events()
		others := maps.Clone(events)
		maps.Copy(events, map[string]func(*rapid.T){
			"":               func(t *rapid.T) { w.watch(false); others[""](t) },
			"think and push": func(*rapid.T) { w.push() },
			"push again":     func(*rapid.T) { w.push() },
			"direct":         func(*rapid.T) { w.direct(); w.settleStates() },
			"apply":          func(t *rapid.T) { w.apply(w.Pick(t)) },
			"apply and say": func(t *rapid.T) {
				b := w.Pick(t)
				w.apply(b)
				for w.work(b) {
				}
				w.Report(b)
			},
			"work":    func(t *rapid.T) { w.work(w.Pick(t)) },
			"quiet":   func(*rapid.T) { w.quiet() },
			"die":     func(t *rapid.T) { others["die"](t); w.watch(true) },
			"replace": func(t *rapid.T) { others["replace"](t); w.watch(true) },
			"manager": func(*rapid.T) { w.restart() },
			"scale": func(t *rapid.T) {
				web, backend := rapid.IntRange(0, 2).Draw(t, "webs"), rapid.IntRange(0, 3).Draw(t, "backends")
				proxy := 1
				if web > 0 && backend > 0 {
					proxy = rapid.IntRange(1, 2).Draw(t, "proxies")
				}
				w.Spec.Nodes = map[api.Role]int{api.RoleProxy: proxy, api.RoleWeb: web, api.RoleBackend: backend}
				w.Say("scale to %v", w.Spec.Nodes)
			},
			"enable": func(t *rapid.T) { w.enable(rapid.IntRange(0, 3).Draw(t, "broken") == 0) },
			"revert": func(*rapid.T) { w.setCode(w.Spec.Code.Serving, w.Spec.Code.Serving) },
			"set": func(t *rapid.T) {
				w.Spec.Settings = map[string]string{"memory_limit": rapid.SampledFrom([]string{"64M", "128M"}).Draw(t, "limit")}
			},
		})
		t.Repeat(events)
		w.quiet()
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		pushes := w.Pushes
		w.quiet()
		if w.Pushes != pushes {
			t.Fatalf("%d specs are sent though all is well", w.Pushes-pushes)
		}
	})
}
