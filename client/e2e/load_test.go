package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// load is a stream of requests, half on kept connections and half on new ones. Everything but a whole 200 counts.
type load struct {
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu     sync.Mutex
	sent   int
	failed []string
}

// startLoad sends about 100 requests per second to each URL until stop.
func startLoad(t testing.TB, urls []string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	for _, url := range urls {
		for worker := range 4 {
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: worker%2 == 0}}
			l.group.Go(func() {
				defer client.CloseIdleConnections()
				tick := time.NewTicker(40 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						l.count(request(client, url))
					case <-ctx.Done():
						return
					}
				}
			})
		}
	}
	return l
}

func request(client *http.Client, url string) error {
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || len(body) == 0) {
		err = fmt.Errorf("%s with %d bytes", res.Status, len(body))
	}
	return err
}

func (l *load) count(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.failed = append(l.failed, time.Now().UTC().Format("15:04:05.000 ")+err.Error())
	}
}

// stop ends the load and checks that nothing failed.
func (l *load) stop(t testing.TB) {
	t.Helper()
	l.cancel()
	l.group.Wait()
	t.Logf("%d requests, %d failed", l.sent, len(l.failed))
	if l.sent == 0 {
		t.Error("no request was sent")
	}
	for _, f := range l.failed {
		t.Error(f)
	}
}
