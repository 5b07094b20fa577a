package httpapi_test

import (
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"conpaas/client/wire/wiretest"
	"conpaas/director/directortest"
)

func TestMain(m *testing.M) {
	wiretest.Main()
	os.Exit(m.Run())
}

// While 10 000 connections are open that mean nothing good, users are served, also through the connection of a manager,
// and machines connect; afterwards everything is given back. One address alone cannot take all places.
func TestTenThousandConnections(t *testing.T) {
	w := newWorld(t)
	server, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + server.Port()
	w.served(t)
	w.settle(t)
	files, level := wiretest.OpenFiles(t), wiretest.Measure()
	for _, crowd := range []struct{ connections, addresses, most int }{
		{10_000, 16, 12_000}, {10_000, 1, 5_000},
	} {
		stop := wiretest.StartCrowd(t, address, w.CA(), crowd.connections, crowd.addresses)
		for range 10 {
			w.served(t)
		}
		if now := wiretest.OpenFiles(t); now > files+crowd.most {
			t.Errorf("%d connections from %d addresses: there are %d open files, and there were %d", crowd.connections, crowd.addresses, now, files)
		} else {
			t.Logf("%d connections from %d addresses: %d open files, and %d before", crowd.connections, crowd.addresses, now, files)
		}
		stop()
		w.settle(t)
		directortest.Await(t, time.Minute, "the open files are given back", func() error {
			if now := wiretest.OpenFiles(t); now > files+20 {
				return fmt.Errorf("there are %d", now)
			}
			return nil
		})
		level.Returned(t)
	}
}

// served makes requests on connections of their own: as a user, as a user through the manager's connection, as a machine.
func (w *world) served(t *testing.T) {
	t.Helper()
	for _, try := range []struct {
		who, method, path string
		status            int
	}{
		{"owner", "GET", "/v1/applications", 200},
		{"owner", "GET", "/v1/applications/{application}/log", 404},
		{"agent", "GET", "/v1/parent", 200},
		{"anonymous", "GET", "/v1/version", 200},
	} {
		c := w.callers[try.who]
		c.client.CloseIdleConnections()
		if got := w.call(t, c, request{method: try.method, path: try.path, values: w.values()}); got.status != try.status {
			t.Errorf("%s %s as %s: %d %.300s", try.method, try.path, try.who, got.status, got.body)
		}
	}
}
