package httpapi_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"conpaas/certs"
	"conpaas/client/wire"
	"conpaas/director/app"
)

type routeInfo = wire.RouteInfo

var parameter = regexp.MustCompile(`\{([a-z_]+)\}`)

// parameters gives the names of the parameters of a path.
func parameters(path string) (names []string) {
	for _, m := range parameter.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return names
}

// requestBody completes the body of a row: $CSR is a real request for a certificate.
func (w *world) requestBody(body string) string {
	if !strings.Contains(body, "$CSR") {
		return body
	}
	key, err := certs.NewKey()
	if err != nil {
		panic(err) // without randomness nothing works
	}
	csr, err := certs.CSR(key)
	if err != nil {
		panic(err)
	}
	text, _ := json.Marshal(string(csr))
	return strings.ReplaceAll(body, `"$CSR"`, string(text))
}

// everyRoute runs f for each route with the body of its row and the name of a caller whom its rule lets through.
// What most routes need goes last: too many refusals in a row would be counted, not written one by one.
func everyRoute(t *testing.T, w *world, f func(r routeInfo, q request, who *caller)) {
	t.Helper()
	_, rows := readExpectations(t)
	who := map[string]string{"public": "anonymous", "user": "owner", "own": "owner", "operate": "owner", "view": "owner", "admin": "admin", "manager": "manager", "agent": "agent", "renewal": "agent"}
	routes := w.routes()
	slices.SortStableFunc(routes, func(a, b wire.RouteInfo) int { return atEnd(a) - atEnd(b) })
	for _, r := range routes {
		i := slices.IndexFunc(rows, func(row expectation) bool { return row.route == r.ID })
		if r.Rule == "relay" { // see TestRelayLearnsItsNodes
			continue
		}
		name, known := who[r.Rule]
		if i < 0 || !known {
			t.Errorf("route %s with the rule %s: say in testdata/access.txt and here who may call it", r.ID, r.Rule)
			continue
		}
		f(r, request{method: r.Method, path: r.Path, values: w.valuesOf(r), body: w.requestBody(rows[i].body)}, w.callers[name])
	}
}

// atEnd puts the end of the application behind all else.
func atEnd(r wire.RouteInfo) int {
	if r.ID == "delete-application" {
		return 1
	}
	return 0
}

// Every parameter of every path arrives: with a value that names nothing, the answer is not_found and says that value.
// An input struct that embeds an unexported one would arrive empty.
func TestParametersArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	everyRoute(t, w, func(r routeInfo, q request, who *caller) {
		for _, name := range parameters(r.Path) {
			q := q
			q.values = w.valuesOf(r)
			q.values[name] = "unknown7"
			got := w.call(t, who, q)
			if hostsNoCode(got) {
				continue
			}
			if got.status != http.StatusNotFound || !strings.Contains(got.problem.Detail, "unknown7") {
				t.Errorf("%s with unknown {%s}: %d %.300s, want 404 naming it", r.ID, name, got.status, got.body)
			}
		}
	})
}

// Values of paths that are made to break something are refused as unknown or invalid, by every route and parameter.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := []string{
		"..", ".", "../1", "../../etc/passwd", "a/b", "/", "", " ", "1 ", "\x00", "1\x00", "\xff\xfe", "a\r\nX-Evil: 1", "'; DROP TABLE nodes; --",
		`" OR 1=1`, "%", "%2e%2e", "*", ":application", "{application}", "-1", "0", "9223372036854775808", "99999999999999999999999999",
		"1e0", "0x1", "01", "+1", " 1", "1.0", "1_0", "１", "N2", "n02", "n2-1", "op01", "n-1", strings.Repeat("a", 5000), "\u202e1", "true", "null", "manifest.sig",
	}
	everyRoute(t, w, func(r routeInfo, q request, who *caller) {
		for _, name := range parameters(r.Path) {
			for _, value := range values {
				q := q
				q.values = w.valuesOf(r)
				q.values[name] = value
				got := w.call(t, who, q)
				refused := got.status == http.StatusNotFound || got.status == http.StatusUnprocessableEntity || got.status == http.StatusBadRequest ||
					r.ID == "share-application" && got.status == http.StatusTooManyRequests // names are guessed only so often
				if !refused && !collides(r, name, value, got) && !hostsNoCode(got) {
					t.Errorf("%s with {%s} = %.60q: %d %.200s, want it refused", r.ID, name, value, got.status, got.body)
				}
			}
		}
	})
	if nodes, err := w.ApplicationNodes(t.Context(), app.Actor{ID: 2, Name: "owner"}, "shop"); err != nil || len(nodes) != 2 {
		t.Errorf("afterwards the application has %d nodes (%v), want the 2 that it had", len(nodes), err)
	}
}

// hostsNoCode tells whether a route for code has refused because the world's service hosts none, before it read the rest.
func hostsNoCode(got reply) bool { return got.status == http.StatusNotImplemented }

// collides tells whether the request with this value is, rightly, one for another route: an empty last part, for example.
func collides(r routeInfo, name, value string, got reply) bool {
	return got.status == http.StatusMethodNotAllowed && (value == "" || strings.Contains(value, "/")) && strings.HasSuffix(r.Path, "{"+name+"}")
}

// Bodies are strict: one JSON document of the right kind, with known members only, and no longer than the limit.
func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tested := 0
	everyRoute(t, w, func(r routeInfo, q request, who *caller) {
		if q.body == "" {
			return
		}
		tested++
		long := `{"padding":"` + strings.Repeat("x", 2<<20) + `"}`
		for _, c := range []struct {
			name   string
			change func(*request)
			status int
			says   string
		}{
			{"unknown member", func(q *request) { q.body = `{"surprise7":1,` + q.body[1:] }, http.StatusUnprocessableEntity, "surprise7"},
			{"oversized", func(q *request) { q.body = long }, http.StatusRequestEntityTooLarge, "longer than"},
			{"oversized, of unknown length", func(q *request) { q.body, q.chunked = long, true }, http.StatusRequestEntityTooLarge, "longer than"},
			{"another kind", func(q *request) { q.kind = "text/plain" }, http.StatusUnsupportedMediaType, "text/plain"},
			{"form", func(q *request) { q.kind = "application/x-www-form-urlencoded" }, http.StatusUnsupportedMediaType, "application/json"},
			{"no JSON", func(q *request) { q.body = `{"a` }, 0, ""},
			{"another type", func(q *request) { q.body = `["a"]` }, http.StatusUnprocessableEntity, ""},
			{"two documents", func(q *request) { q.body += q.body }, 0, ""},
			{"nested too deep", func(q *request) { q.body = strings.Repeat("[", 100_000) }, 0, ""},
			{"empty", func(q *request) { q.body = " " }, 0, ""},
		} {
			q := q
			c.change(&q)
			got := w.call(t, who, q)
			if c.status == 0 && (got.status == http.StatusUnprocessableEntity || got.status == http.StatusBadRequest) {
				continue
			}
			text := got.problem.Field + " " + got.problem.Detail
			if got.status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%s with a body that is %s: %d %.300s, want %d saying %q", r.ID, c.name, got.status, got.body, c.status, c.says)
			}
		}
		// Who may not call is told so before the body is read.
		if r.Rule != "public" {
			q.body = long
			if got := w.call(t, w.callers["anonymous"], q); got.status != http.StatusUnauthorized {
				t.Errorf("%s as anonymous with an oversized body: %d, want 401", r.ID, got.status)
			}
		}
	})
	if tested < 5 {
		t.Errorf("only %d routes have a body in testdata/access.txt", tested)
	}
}

// A route refuses what is in the query and not in its description.
func TestUnknownQueryIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	everyRoute(t, w, func(r routeInfo, q request, who *caller) {
		q.query = "surprise7=1"
		got := w.call(t, who, q)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.problem.Field+got.problem.Detail, "surprise7") {
			t.Errorf("%s?surprise7=1: %d %.300s, want it refused by name", r.ID, got.status, got.body)
		}
	})
}
