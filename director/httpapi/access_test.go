package httpapi_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"conpaas/director/app"
	"conpaas/director/directortest"
)

// expectation is one row of testdata/access.txt.
type expectation struct {
	route  string
	rule   string
	status map[string]int // per caller; 0: not tried
	body   string
}

// readExpectations reads the table of who gets which answer from which route.
func readExpectations(t *testing.T) (callers []string, rows []expectation) {
	t.Helper()
	f, err := os.Open("testdata/access.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, body, _ := strings.Cut(lines.Text(), "{")
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
			continue
		case callers == nil:
			callers = fields[2:]
			continue
		case len(fields) != len(callers)+2:
			t.Fatalf("testdata/access.txt: %q has %d columns, want %d", lines.Text(), len(fields), len(callers)+2)
		}
		row := expectation{route: fields[0], rule: fields[1], status: map[string]int{}}
		if strings.Contains(lines.Text(), "{") {
			row.body = "{" + body
		}
		for i, name := range callers {
			if fields[i+2] == "-" {
				continue
			}
			if row.status[name], err = strconv.Atoi(fields[i+2]); err != nil {
				t.Fatalf("testdata/access.txt: %q: %v", lines.Text(), err)
			}
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return callers, rows
}

// Every route answers every kind of caller as the table says. The owner calls last, since what he does changes things.
func TestAccess(t *testing.T) {
	t.Parallel()
	callers, rows := readExpectations(t)
	const apart = "operator" // it changes things, and the owner comes to the same afterwards
	for name, who := range map[string][]string{
		apart: {apart}, "others": slices.DeleteFunc(callers, func(name string) bool { return name == apart }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testAccess(t, who, rows)
		})
	}
}

func testAccess(t *testing.T, callers []string, rows []expectation) {
	w := newWorld(t)
	routes := w.routes()
	for _, r := range routes {
		if !slices.ContainsFunc(rows, func(row expectation) bool { return row.route == r.ID }) {
			t.Errorf("route %s (%s %s) is not in testdata/access.txt: say there who may call it", r.ID, r.Method, r.Path)
		}
	}
	for _, name := range callers {
		if w.callers[name] == nil {
			t.Fatalf("testdata/access.txt: there is no caller %s", name)
		}
	}
	slices.SortStableFunc(callers, func(a, b string) int { return last(a) - last(b) })
	for _, name := range callers {
		for _, row := range rows {
			i := slices.IndexFunc(routes, func(r routeInfo) bool { return r.ID == row.route })
			if i < 0 {
				t.Errorf("testdata/access.txt: there is no route %s", row.route)
				continue
			}
			if routes[i].Rule != row.rule {
				t.Errorf("route %s has the rule %s, want %s", row.route, routes[i].Rule, row.rule)
			}
			want := row.status[name]
			if want == 0 {
				continue
			}
			who := *w.callers[name]
			if row.route == "logout" && who.token != "" && w.tokens[name] != "" {
				who.token = w.tokens[name]
			}
			got := w.call(t, &who, request{method: routes[i].Method, path: routes[i].Path, values: w.valuesOf(routes[i]), body: w.requestBody(row.body)})
			if (name == "owner" || name == "operator") && routes[i].Rule != "user" && want == http.StatusNotFound && !strings.HasPrefix(got.problem.Detail, "the manager of application") {
				t.Errorf("%s as %s: %.300s, want an answer of the manager", row.route, name, got.body)
			}
			if got.status != want {
				t.Errorf("%s %s (%s) as %s: %d %.300s, want %d", routes[i].Method, routes[i].Path, row.route, name, got.status, got.body, want)
			}
		}
	}
}

func last(caller string) int {
	if caller == "owner" {
		return 1
	}
	return 0
}

// A machine whose node is gone has nothing to say any more: its certificates are revoked.
func TestRemovedNodesAreNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := app.Actor{ID: 2, Name: "owner"}
	if _, err := w.StopApplication(t.Context(), owner, "shop"); err != nil {
		t.Fatal(err)
	}
	directortest.Await(t, 30*time.Second, "the machines are removed", func() error {
		nodes, err := w.ApplicationNodes(t.Context(), owner, "shop")
		if err == nil && len(nodes) > 0 {
			err = fmt.Errorf("there are %d", len(nodes))
		}
		return err
	})
	for _, c := range []struct{ who, method, path, body string }{
		{"agent", "GET", "/v1/parent", ""},
		{"agent", "POST", "/v1/renew", `{"csr":"$CSR"}`},
		{"expired", "POST", "/v1/renew", `{"csr":"$CSR"}`},
		{"manager", "GET", "/v1/connect", ""},
		{"manager", "POST", "/v1/renew", `{"csr":"$CSR"}`},
	} {
		if got := w.call(t, w.callers[c.who], request{method: c.method, path: c.path, body: w.requestBody(c.body)}); got.status != http.StatusUnauthorized {
			t.Errorf("%s %s as the removed %s: %d %.300s, want 401", c.method, c.path, c.who, got.status, got.body)
		}
	}
}

// What belongs to somebody else answers as what does not exist, so that nobody learns which ids there are.
func TestForeignIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, rows := readExpectations(t)
	owned := map[string]string{"user": "77", "application": "77", "service": "77", "node": "n77", "operation": "op77"}
	for _, r := range w.routes() {
		i := slices.IndexFunc(rows, func(row expectation) bool { return row.route == r.ID })
		if i < 0 || !slices.Contains([]string{"user", "own", "operate", "view"}, r.Rule) {
			continue
		}
		absent := w.valuesOf(r)
		ours := map[string]bool{}
		for name, id := range owned {
			if strings.Contains(r.Path, "{"+name+"}") {
				ours[name] = true
				absent[name] = id
			}
		}
		if len(ours) == 0 {
			continue
		}
		for _, who := range []string{"stranger", "admin"} {
			if who == "admin" && ours["user"] { // an administrator sees all accounts
				continue
			}
			q := request{method: r.Method, path: r.Path, values: w.valuesOf(r), body: w.requestBody(rows[i].body)}
			foreign := w.call(t, w.callers[who], q)
			q.values = absent
			unknown := w.call(t, w.callers[who], q)
			neutral := func(detail string, values map[string]string) string {
				for name := range ours {
					detail = strings.ReplaceAll(detail, values[name], "{}")
				}
				return detail
			}
			a, b := neutral(foreign.problem.Detail, w.valuesOf(r)), neutral(unknown.problem.Detail, absent)
			if foreign.status != 404 || unknown.status != 404 || foreign.problem.Code != unknown.problem.Code || a != b {
				t.Errorf("%s as %s: foreign %d %q, unknown %d %q, want the same answer", r.ID, who, foreign.status, a, unknown.status, b)
			}
		}
	}
}
