package servicetest

import (
	"strings"

	"pgregory.net/rapid"
)

// Pick draws a machine; while there is none, a dead one that is nowhere.
func (w *World[B]) Pick(t *rapid.T) B {
	if ids := w.IDs(); len(ids) > 0 {
		return w.Machines[rapid.SampledFrom(ids).Draw(t, "machine")]
	}
	return w.Make(Machine{Dead: true})
}

// Events are what may happen to services of all types, for rapid's Repeat. A type adds its own, and what else there is to these.
func (w *World[B]) Events() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"": func(t *rapid.T) {
			if w.Err != nil {
				t.Fatal(w.Err)
			}
		},
		"boot":   func(t *rapid.T) { b := w.Pick(t); w.Boot(b); w.Connect(b) },
		"report": func(t *rapid.T) { w.Report(w.Pick(t)) },
		"silent": func(t *rapid.T) {
			m := w.Pick(t).frame()
			m.Connected = false
			w.Say("%s is silent", m.Info.ID)
		},
		"forgotten": func(t *rapid.T) { // it has been silent for long
			if m := w.Pick(t).frame(); !m.Connected && m.Status != nil {
				m.Serving = false
			}
		},
		"heard":   func(t *rapid.T) { w.Connect(w.Pick(t)) },
		"die":     func(t *rapid.T) { w.Lose(w.Pick(t)) },
		"replace": func(t *rapid.T) { w.GiveUp(w.Pick(t)) },
		"manager": func(*rapid.T) { w.Restart() },
	}
}

// Explain tells what has happened, when a test has failed.
func (w *World[B]) Explain(t *rapid.T) {
	if t.Failed() {
		t.Log(strings.Join(w.Said, "\n"))
	}
}
