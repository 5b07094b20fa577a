package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

const (
	deployBackends = 10
	deployBytes    = 5_000_000
	deployRate     = 200 // requests per second
)

// BenchmarkDeploy changes the code of a PHP service on ten backends for an archive of 5 MB, under a load that does not
// wait for answers. rolling_failed counts every request that was not answered wholly, from before the upload to after it.
func BenchmarkDeploy(b *testing.B) {
	w := benchWorld(b, "container")
	w.cps("application", "create", "shop")
	w.cps("service", "add", "php", "shop")
	w.cps("service", "start", "shop", "php")
	w.cps("php", "upload-code", "shop", "php", w.archive("first", 0), "--enable")
	w.cps("service", "add-nodes", "shop", "php", "--backend", fmt.Sprint(deployBackends))
	archive := w.archive("second", deployBytes)
	load := startFlow(b, w.endpointsOf("php")[0]+"/page.php", deployRate)
	pause(b, 2*time.Second)
	begun := time.Now()
	w.cps("php", "upload-code", "shop", "php", archive, "--enable")
	took := time.Since(begun)
	pause(b, 2*time.Second)
	sent, failed := load.end()
	for _, reason := range failed[:min(len(failed), 10)] {
		b.Logf("of %d requests failed: %s", sent, reason)
	}
	b.ReportMetric(took.Seconds(), "deploy_5mb_s")
	b.ReportMetric(float64(len(failed)), "rolling_failed")
	b.ReportMetric(load.took.p99(), "rolling_p99_ms")
	reportLoad(b)
}

// archive packs a page that names the version, and a file of so many bytes that do not pack.
func (w *world) archive(version string, bytes int) string {
	w.t.Helper()
	ballast := make([]byte, bytes)
	_, _ = rand.Read(ballast)
	w.write(version+"/page.php", "<?php echo '"+version+"';\n")
	w.write(version+"/ballast.bin", string(ballast))
	archive := w.path(version + ".tar.gz")
	if out, err := exec.Command("tar", "-czf", archive, "-C", w.path(version), ".").CombinedOutput(); err != nil {
		w.t.Fatalf("tar: %v\n%s", err, out)
	}
	return archive
}

// flow is requests at a fixed rate, whatever becomes of those before.
type flow struct {
	load   // what is counted
	took   durations
	client *http.Client
}

// startFlow begins to send so many requests per second; every fifth on a new connection.
func startFlow(b *testing.B, url string, rate int) *flow {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	f := &flow{client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: rate}}}
	f.cancel = cancel
	once := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	f.group.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			client := f.client
			if i%5 == 0 {
				client = once
			}
			f.group.Go(func() {
				begun := time.Now()
				f.count(request(client, url))
				f.took.add(time.Since(begun))
			})
		}
	})
	return f
}

// end waits for the last answers.
func (f *flow) end() (sent int, failed []string) {
	f.cancel()
	f.group.Wait()
	f.client.CloseIdleConnections()
	return f.sent, f.failed
}
