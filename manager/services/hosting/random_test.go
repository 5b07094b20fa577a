package hosting

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// Whatever happens in whatever order, requests that worked go on to work, and in the end everything is as wanted.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(w.said, "\n"))
			}
		}()
		nobody := newWorld().add(api.RoleProxy) // stands for a machine while there is none
		pick := func(t *rapid.T) *box {
			if ids := w.ids(); len(ids) > 0 {
				return w.machines[rapid.SampledFrom(ids).Draw(t, "machine")]
			}
			return nobody
		}
		step := func(lost bool) {
			w.watch(lost)
			if w.err != nil {
				t.Fatal(w.err)
			}
		}
		actions := map[string]func(*rapid.T){
			"think and push": func(*rapid.T) { w.push(); step(false) },
			"push again":     func(*rapid.T) { w.push(); step(false) },
			"direct":         func(*rapid.T) { w.direct(); w.settleStates(); step(false) },
			"boot":           func(t *rapid.T) { b := pick(t); w.boot(b); w.connect(b); step(false) },
			"apply":          func(t *rapid.T) { w.apply(pick(t)); step(false) },
			"apply and say": func(t *rapid.T) {
				b := pick(t)
				w.apply(b)
				for w.work(b) {
				}
				w.report(b)
				step(false)
			},
			"work":   func(t *rapid.T) { w.work(pick(t)); step(false) },
			"report": func(t *rapid.T) { w.report(pick(t)); step(false) },
			"quiet":  func(*rapid.T) { w.quiet(); step(false) },
			"connection": func(t *rapid.T) {
				b := pick(t)
				if b.connected {
					b.connected = false
					w.say("%s is silent", b.info.ID)
				} else {
					w.connect(b)
				}
				step(false)
			},
			"forgotten": func(t *rapid.T) {
				if b := pick(t); !b.connected && b.status != nil {
					b.serving = false
				}
				step(false)
			},
			"die": func(t *rapid.T) {
				b := pick(t)
				b.dead, b.connected = true, false
				w.say("%s dies", b.info.ID)
				step(true)
			},
			"replace": func(t *rapid.T) {
				if b := pick(t); b.dead {
					w.say("%s is given up", b.info.ID)
					delete(w.machines, b.info.ID)
				}
				step(true)
			},
			"restart": func(*rapid.T) { w.restart(); step(false) },
			"scale": func(t *rapid.T) {
				web, backend := rapid.IntRange(0, 2).Draw(t, "webs"), rapid.IntRange(0, 3).Draw(t, "backends")
				proxy := 1
				if web > 0 && backend > 0 {
					proxy = rapid.IntRange(1, 2).Draw(t, "proxies")
				}
				w.spec.Nodes = map[api.Role]int{api.RoleProxy: proxy, api.RoleWeb: web, api.RoleBackend: backend}
				w.say("scale to %v", w.spec.Nodes)
				step(false)
			},
			"enable": func(t *rapid.T) { w.enable(rapid.IntRange(0, 3).Draw(t, "broken") == 0); step(false) },
			"revert": func(t *rapid.T) { w.setCode(w.spec.Code.Serving, w.spec.Code.Serving); step(false) },
			"set": func(t *rapid.T) {
				w.spec.Settings = map[string]string{"memory_limit": rapid.SampledFrom([]string{"64M", "128M"}).Draw(t, "limit")}
				step(false)
			},
		}
		t.Repeat(actions)
		w.quiet()
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		pushes := w.pushes
		w.quiet()
		if w.pushes != pushes {
			t.Fatalf("%d specs are sent though all is well", w.pushes-pushes)
		}
	})
}
