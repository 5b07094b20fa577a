package app

import (
	"testing"
	"testing/synctest"
	"time"
)

// The manager is dialled as soon as the overlay is up, and other ways to it are looked for when it does not come up.
func TestDialWaitsForTheOverlay(t *testing.T) {
	for name, up := range map[string]time.Duration{"up": 3 * time.Second, "never up": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &planned{done: make(chan struct{})}
				a := &App{timing: DefaultTiming(), overlay: o}
				begun := time.Now()
				time.AfterFunc(up, func() { close(o.done) })
				a.awaitOverlay(t.Context())
				if took, want := time.Since(begun), min(up, a.timing.Connect); took != want {
					t.Errorf("the first dial was after %v, want %v", took, want)
				}
			})
		})
	}
}
