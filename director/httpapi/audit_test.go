package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// audited gives the audit log as somebody sees it, the oldest first.
func (w *world) audited(t *testing.T, who, query string) []api.AuditEntry {
	t.Helper()
	got := w.call(t, w.callers[who], request{method: http.MethodGet, path: "/v1/audit", query: "limit=1000&" + query})
	var list api.List[api.AuditEntry]
	if err := json.Unmarshal(got.body, &list); err != nil || got.status != http.StatusOK {
		t.Fatalf("audit as %s: %d %.300s", who, got.status, got.body)
	}
	slices.Reverse(list.Items)
	return list.Items
}

// Every route that changes things leaves an entry, whether it does so or refuses; no password and no token is in it.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mutations := 0
	everyRoute(t, w, func(r routeInfo, q request, who *caller) {
		if r.Method == http.MethodGet {
			return
		}
		mutations++
		who = &caller{name: who.name, token: who.token, client: who.client}
		if r.ID == "logout" {
			who.token = w.tokens[who.name]
		}
		before := len(w.audited(t, "admin", "action="+r.ID))
		got := w.call(t, who, q)
		var entries []api.AuditEntry
		for range 100 { // it is written when the answer has been read already
			if entries = w.audited(t, "admin", "action="+r.ID); len(entries) > before {
				break
			}
		}
		if len(entries) == before {
			t.Errorf("%s answered %d and left no entry", r.ID, got.status)
			return
		}
		e := entries[len(entries)-1]
		if done := e.Outcome == "done"; done != (got.status < 400) || !done && e.Outcome != string(got.problem.Code) {
			t.Errorf("%s answered %d (%s), and its entry says %+v", r.ID, got.status, got.problem.Code, e)
		}
		if e.Who == "" || e.Address != "127.0.0.1" || e.Request == "" || e.Count != 1 {
			t.Errorf("the entry of %s is %+v", r.ID, e)
		}
	})
	if mutations < 25 {
		t.Errorf("only %d routes were tried", mutations)
	}
	text, err := json.Marshal(w.audited(t, "admin", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{password, "argon2", "cps_", w.callers["owner"].token.Reveal()} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%.20q is in the audit log", secret)
		}
	}
}

// Who may see which entries, and what of them.
func TestAuditShowsEverybodyTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rename := func(who, name string) {
		w.call(t, w.callers[who], request{method: http.MethodPatch, path: "/v1/applications/{application}", values: w.values(), body: `{"name":"` + name + `"}`})
	}
	rename("owner", "store")
	rename("viewer", "mine")
	rename("stranger", "mine")
	seen := func(who, query string) (lines []string) {
		t.Helper()
		for _, e := range w.audited(t, who, query) {
			line := e.Who + " " + e.Outcome
			if e.Address != "" {
				line += " " + e.Address
			}
			lines = append(lines, line)
		}
		return lines
	}
	for _, c := range []struct{ who, query, want string }{
		{"admin", "action=rename-application", "[owner done 127.0.0.1 viewer forbidden 127.0.0.1 stranger not_found 127.0.0.1]"},
		{"owner", "action=rename-application", "[owner done 127.0.0.1 viewer forbidden stranger not_found]"},
		{"owner", "application=store&failed=true", "[viewer forbidden stranger not_found]"},
		{"owner", "from=127.0.0.1&action=rename-application", "[owner done 127.0.0.1]"}, // or the others' could be found by trying
		{"viewer", "application=owner:store", "[viewer forbidden 127.0.0.1]"},
		{"stranger", "", "[stranger not_found 127.0.0.1]"},
		{"stranger", "application=1", "[stranger not_found 127.0.0.1]"}, // as for an id that nothing has
		{"operator", "", "[]"},
		{"admin", "application=owner:store&user=owner", "[owner done 127.0.0.1]"},
	} {
		if got := fmt.Sprint(seen(c.who, c.query)); got != c.want {
			t.Errorf("%s with %s sees %s, want %s", c.who, c.query, got, c.want)
		}
	}
	changes := w.audited(t, "owner", "action=rename-application")[0].Changes
	if len(changes) != 1 || changes[0] != (api.AuditChange{What: "name", Before: "shop", After: "store"}) {
		t.Errorf("the change is %+v", changes)
	}
	got := w.call(t, w.callers["stranger"], request{method: http.MethodGet, path: "/v1/audit", query: "application=owner:store"})
	if got.status != http.StatusNotFound {
		t.Errorf("by its name a stranger finds it: %d %.200s", got.status, got.body)
	}
}

// A machine that joins is known by its join token, whether it is let in or not; one with another token is nobody.
func TestJoinsAreAuditedByNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	join := request{method: http.MethodPost, path: "/v1/join"}
	for _, in := range []struct{ node, token string }{{ownAgent, w.Cloud.Token(ownAgent).Reveal()}, {ownAgent, "of nothing"}, {goneNode, "of nothing"}} {
		join.body = w.requestBody(fmt.Sprintf(`{"node":%q,"token":%q,"csr":"$CSR","overlay_key":%q,"boot_id":"b","version":"v","data_plane":"none"}`, in.node, in.token, strings.Repeat("A", 43)+"="))
		if got := w.call(t, w.callers["anonymous"], join); got.status != http.StatusForbidden {
			t.Fatalf("join as %s: %d %.200s", in.node, got.status, got.body)
		}
	}
	want := []string{
		"manager n1 done join token application shop (1), node n1", "agent n2 done join token application shop (1), node n2",
		"agent n2 forbidden join token application shop (1), node n2", "anonymous forbidden  node n2", "anonymous forbidden  node n99",
	}
	var seen []string
	for range 100 { // the last is written when the answer has been read already
		seen = nil
		for _, e := range w.audited(t, "admin", "action=join") {
			seen = append(seen, e.Who+" "+e.Outcome+" "+e.Credential+" "+e.Object)
			if e.Address != "127.0.0.1" {
				t.Errorf("%+v is from nowhere", e)
			}
		}
		if len(seen) >= len(want) {
			break
		}
	}
	if !slices.Equal(seen, want) {
		t.Errorf("entries\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
	if list := w.audited(t, "owner", "application=shop&action=join&failed=true"); len(list) != 1 || list[0].Who != "agent n2" {
		t.Errorf("the owner sees %+v", list)
	}
}

// Refusals that come in floods are counted, and what others do is not lost among them.
func TestFloodsAreCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorldIn(t, dir)
	const flood = 150
	for range flood {
		w.call(t, w.callers["anonymous"], request{method: http.MethodGet, path: "/v1/users/me"})
	}
	w.call(t, w.callers["stranger"], request{method: http.MethodGet, path: "/v1/applications/{application}", values: w.values()})
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	counts := onRecord(t, dir)
	if counts["anonymous"] != flood || counts["stranger"] != 1 {
		t.Errorf("counted are %v", counts)
	}
	again := directortest.Start(t, directortest.Options{Dir: dir})
	list, err := again.Audit(t.Context(), again.Admin(), app.AuditQuery{User: "anonymous"}, app.Page{Limit: 1000})
	if err != nil || len(list.Items) > 50 {
		t.Errorf("%d entries are left of %d refusals, %v", len(list.Items), flood, err)
	}
}
