package e2e

import "testing"

// BenchmarkScaleProcess grows a service from one agent to fifty, as plain processes. By the
// name of its file it is the first of its package: ext4 does not use the inodes of removed files again for minutes and searches
// past them, so that after another benchmark's clean-up each new file costs several times as much.
func BenchmarkScaleProcess(b *testing.B) {
	w := benchWorld(b, "process")
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	w.measureScale("helloworld", "node", 1, 50)
	b.ReportMetric(w.rss(w.cmd.Process.Pid), "director_50_rss_mib")
}
