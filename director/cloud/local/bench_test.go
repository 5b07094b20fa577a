package local_test

import (
	"fmt"
	"testing"
	"time"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
)

// BenchmarkMachine launches twenty machines one after another and then terminates them; both are reported per machine.
func BenchmarkMachine(b *testing.B) {
	for _, kind := range []string{local.RuntimeContainer, local.RuntimeProcess} {
		b.Run(kind, func(b *testing.B) {
			l := start(b, configuration(b, map[string]string{"RUNTIME": kind}))
			var ids []cloud.MachineID
			var launched time.Duration
			for range 20 {
				begun := time.Now()
				id, err := l.Launch(b.Context(), cloud.Spec{Token: fmt.Sprintf("n%d-1", len(ids)), UserData: userData()})
				if err != nil {
					b.Fatal(err)
				}
				launched += time.Since(begun)
				ids = append(ids, id)
			}
			begun := time.Now()
			for _, id := range ids {
				if err := l.Terminate(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(launched.Milliseconds())/float64(len(ids)), kind+"_start_ms")
			b.ReportMetric(float64(time.Since(begun).Milliseconds())/float64(len(ids)), kind+"_end_ms")
		})
	}
}
