package app

import ("testing";"time")

func BenchmarkStep(b *testing.B) {
	w := newWorld()
	w.services[1] = helloworldSpec(1, 1000)
	for range 3 { w.round(); w.now = w.now.Add(time.Second) }
	for _, m := range w.machines { w.report(m) }
	w.step()
	b.Logf("settled %v nodes %d", w.last.state.Settled, len(w.machines))
	b.ResetTimer()
	for range b.N { w.core.step(w.now) }
}
