package httpapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/wire/wiretest"
	"conpaas/director/app"
	"conpaas/director/store"
)

var (
	seed = flag.Uint64("seed", 1, "chooses among hostile values")
	few  = flag.Int("few", 8, "how many hostile values are tried in each place; 0: all, which takes minutes")
)

// Whatever is sent to whatever route, its answer says what is wrong and no more than that, nothing is kept of it, and the
// director goes on. It is not parallel, since it counts what the process has. Routes and their parameters are those of the OpenAPI document, valid bodies those of access.txt.
func TestHostileRequests(t *testing.T) {
	dir := t.TempDir()
	w := newWorldIn(t, dir)
	owner := app.Actor{ID: 2, Name: "owner"}
	w.fillLists(t, owner)
	target := w.target(t, dir)
	w.settle(t)
	files, before := count(t, dir), wiretest.Measure()
	shots := target.Attack(t)
	t.Logf("%d hostile requests", shots)
	target.AttackMethods(t)
	wiretest.AttackConnection(t, func() (net.Conn, error) {
		server, _ := url.Parse(w.URL)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(w.CA())
		return tls.Dial("tcp", server.Host, &tls.Config{ServerName: "localhost", RootCAs: roots, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
	})
	w.settle(t)
	before.Returned(t)
	if now := count(t, dir); now > files {
		t.Errorf("the data folder has %d files, and had %d", now, files)
	}
	if _, err := w.Service(t.Context(), owner, ownApplication, ownService); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if got := w.call(t, w.callers["owner"], request{method: "GET", path: "/v1/applications"}); got.status != http.StatusOK {
		t.Errorf("afterwards: %d %.300s", got.status, got.body)
	}
	if err := w.Stop(); err != nil {
		t.Error(err)
	}
	if e := store.Examine(context.Background(), dir, ""); e.Damage != nil || e.Key != nil {
		t.Errorf("the database afterwards: %+v", e)
	}
}

// target is the director for wiretest.
func (w *world) target(t *testing.T, dir string) wiretest.Target {
	t.Helper()
	who, bodies := map[string]*caller{}, map[string]string{}
	everyRoute(t, w, func(r routeInfo, q request, c *caller) { who[r.ID], bodies[r.ID] = c, q.body })
	document := w.call(t, w.callers["anonymous"], request{method: "GET", path: "/openapi.json"})
	base, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	values := w.values()
	return wiretest.Target{
		Document: document.body, Values: values, Bodies: bodies, Seed: *seed, Few: *few, Private: []string{dir, "password hash"},
		Headers: []string{"Authorization", "Last-Event-Id", api.HeaderRequestID, api.HeaderHello, api.HeaderProtocol, api.HeaderFence},
		Send: func(op wiretest.Operation, r *http.Request, nobody bool) (*http.Response, error) {
			r.URL.Scheme, r.URL.Host = base.Scheme, base.Host
			c := who[op.ID]
			if nobody || c == nil {
				c = w.callers["anonymous"]
			}
			if _, given := r.Header["Authorization"]; !given && c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
			}
			return c.client.Do(r)
		},
		May: func(_ wiretest.Operation, status int) bool {
			return status == http.StatusNotImplemented || status == http.StatusServiceUnavailable
		},
	}
}

// settle closes the connections that are not used.
func (w *world) settle(t *testing.T) {
	t.Helper()
	for _, c := range w.callers {
		c.client.CloseIdleConnections()
	}
}

// count gives the number of files of a data folder.
func count(t *testing.T, dir string) int {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), "director.db") {
			files++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
