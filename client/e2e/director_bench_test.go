package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
)

const (
	fleetSize   = 1000             // applications with a connected manager
	idleTime    = 60 * time.Second // workers look once in this time by themselves
	readTime    = 10 * time.Second
	readers     = 8
	renewers    = 8
	renewals    = 2000
	readsPerSec = 50 // while the director restarts
)

// BenchmarkDirector is what a director of a thousand applications costs and does: the real program, with machines of
// the runtime process that have joined, and whole managers, which live in one other process.
func BenchmarkDirector(b *testing.B) {
	f := startFleet(b, fleetSize)
	pause(b, 5*time.Second)
	used := cpuOf(b, f.cmd.Process.Pid)
	pause(b, idleTime)
	b.ReportMetric(percent(cpuOf(b, f.cmd.Process.Pid)-used, idleTime), "director_idle_cpu_percent")
	b.ReportMetric(f.rss(f.cmd.Process.Pid), "director_1000_rss_mib")
	f.measureReads()
	f.measureRenewals()
	f.measureReconnect()
	reportLoad(b)
}

// measureReads has several clients read what people and pages read, each on its connection, as fast as they get answers.
func (f *fleet) measureReads() {
	ctx, cancel := context.WithTimeout(f.b.Context(), readTime)
	defer cancel()
	took := &durations{}
	var clients errgroup.Group
	for reader := range readers {
		clients.Go(func() error {
			client := f.client()
			defer client.CloseIdleConnections()
			for i := reader; ctx.Err() == nil; i += readers {
				begun := time.Now()
				if err := f.read(ctx, client, i); err != nil && ctx.Err() == nil {
					return err
				}
				took.add(time.Since(begun))
			}
			return nil
		})
	}
	if err := clients.Wait(); err != nil {
		f.b.Fatal(err)
	}
	f.b.ReportMetric(float64(took.count())/readTime.Seconds(), "api_reads_per_s")
	f.b.ReportMetric(took.p99(), "api_read_p99_ms")
}

// client is a client of the API with kept connections.
func (f *fleet) client() *http.Client {
	pool, err := certs.Pool(f.ca)
	if err != nil {
		f.b.Fatal(err)
	}
	return &http.Client{Transport: wire.NewTransport(&tls.Config{RootCAs: pool}, "")}
}

// read makes the i-th read: a page of applications, one of them, its nodes, or its operations.
func (f *fleet) read(ctx context.Context, client *http.Client, i int) error {
	name := fmt.Sprintf("app%d", i*7919%fleetSize)
	one := "/v1/applications/" + name
	path := []string{"/v1/applications", one, one + "/nodes", "/v1/operations?application=" + name}[i/readers%4]
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url()+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+f.token.Reveal())
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, text)
	}
	return err
}

// measureRenewals has machines ask for new certificates as they do it: each on a connection of its own.
func (f *fleet) measureRenewals() {
	var clients errgroup.Group
	clients.SetLimit(renewers)
	begun := time.Now()
	for i := range renewals {
		clients.Go(func() error { return f.renew(f.roots[i%len(f.roots)]) })
	}
	if err := clients.Wait(); err != nil {
		f.b.Fatal(err)
	}
	f.b.ReportMetric(renewals/time.Since(begun).Seconds(), "certs_per_s")
}

// renew asks for a certificate with that of a machine, which goes on with the one it has.
func (f *fleet) renew(root string) error {
	store, err := mtls.Open(filepath.Join(root, "var/lib/conpaas/state/tls"))
	if err != nil {
		return err
	}
	key, err := certs.NewKey()
	if err != nil {
		return err
	}
	csr, err := certs.CSR(key)
	if err != nil {
		return err
	}
	transport := wire.NewTransport(mtls.ClientConfig(store, nil, "localhost"), "")
	defer transport.CloseIdleConnections()
	client := &wire.Client{HTTP: &http.Client{Transport: transport}, Base: f.url()}
	_, err = wire.Call[api.RenewAnswer](f.b.Context(), client, http.MethodPost, "/v1/renew", api.RenewRequest{CSR: string(csr)})
	return err
}

// measureReconnect kills the director, starts it again at once, and waits until every manager has taken its spec from
// the new one. Meanwhile somebody reads.
func (f *fleet) measureReconnect() {
	told := f.told()
	ctx, cancel := context.WithCancel(f.b.Context())
	defer cancel()
	managers := cpuOf(f.b, f.process.Process.Pid)
	begun := time.Now()
	f.kill()
	var reading sync.WaitGroup
	took, failed := &durations{}, &atomic.Int64{}
	reading.Go(func() { f.readSteadily(ctx, took, failed) })
	f.start()
	f.eventually(time.Minute, "all managers have been told their spec by the new director", func() error {
		missing := 0
		for root, before := range told {
			if f.specOf(root).Equal(before) {
				missing++
			} else {
				delete(told, root)
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d have not", missing)
		}
		return nil
	})
	f.b.ReportMetric(time.Since(begun).Seconds(), "reconnect_1000_s")
	f.b.ReportMetric(cpuOf(f.b, f.cmd.Process.Pid).Seconds(), "reconnect_director_cpu_s")
	f.b.ReportMetric((cpuOf(f.b, f.process.Process.Pid) - managers).Seconds(), "reconnect_managers_cpu_s")
	cancel()
	reading.Wait()
	f.b.ReportMetric(took.p99(), "reconnect_read_p99_ms")
	f.b.ReportMetric(float64(failed.Load()), "reconnect_read_failed")
}

// told gives since when each manager has its spec.
func (f *fleet) told() map[string]time.Time {
	times := make(map[string]time.Time, len(f.roots))
	for _, root := range f.roots {
		times[root] = f.specOf(root)
	}
	return times
}

// specOf is when a manager has last kept a spec that it was told.
func (f *fleet) specOf(root string) time.Time {
	info, err := os.Stat(filepath.Join(root, "var/lib/conpaas/state/spec.json"))
	if err != nil {
		f.b.Fatal(err)
	}
	return info.ModTime()
}

// readSteadily reads at a fixed rate, however long the answers take, once the director takes connections.
func (f *fleet) readSteadily(ctx context.Context, took *durations, failed *atomic.Int64) {
	client := f.client()
	defer client.CloseIdleConnections()
	var reads sync.WaitGroup
	defer reads.Wait()
	tick := time.NewTicker(time.Second / readsPerSec)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		reads.Go(func() {
			begun := time.Now()
			err := f.read(ctx, client, i)
			if ctx.Err() != nil || errors.Is(err, syscall.ECONNREFUSED) {
				return
			}
			took.add(time.Since(begun))
			if err != nil {
				failed.Add(1)
			}
		})
	}
}
