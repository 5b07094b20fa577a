package httpapi_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
	"conpaas/director/store"
)

// owned are the parameters of paths that name what belongs to a user.
var owned = []string{"user", "token", "application", "service", "node", "operation", "version", "sha256"}

// ownedIn gives the parameters of a route that name what belongs to a user.
func ownedIn(r routeInfo) (names []string) {
	for _, name := range parameters(r.Path) {
		if slices.Contains(owned, name) && (name != "version" && name != "sha256" || strings.Contains(r.Path, "{service}")) {
			names = append(names, name)
		}
	}
	return names
}

// twoApplications gives each of two users a running application with services and code, and the ids of either: ids of one
// kind are different ones.
func (w *world) twoApplications(t *testing.T) (ours, theirs map[string]string) {
	t.Helper()
	owner, stranger := app.Actor{ID: 2, Name: "owner"}, app.Actor{ID: 3, Name: "stranger"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.CreateApplication(t.Context(), stranger, api.ApplicationCreate{Name: "bazaar"})
	must(err)
	_, err = w.AddService(t.Context(), stranger, "bazaar", api.ServiceCreate{Type: api.Helloworld, Name: "hello"})
	must(err)
	_, err = w.AddService(t.Context(), stranger, "bazaar", api.ServiceCreate{Type: api.Helloworld, Name: "spare"})
	must(err)
	op, err := w.StartService(t.Context(), stranger, "bazaar", "hello")
	must(err)
	directortest.Await(t, 30*time.Second, "the other application runs", func() error {
		now, err := w.Operation(t.Context(), stranger, op.ID)
		if err == nil && now.State != api.OperationSucceeded {
			err = fmt.Errorf("the operation is %s", now.State)
		}
		return err
	})
	nodes, err := w.ApplicationNodes(t.Context(), stranger, "bazaar")
	must(err)
	code := func(a app.Actor, name string) (api.Service, string) {
		site, err := w.AddService(t.Context(), a, name, api.ServiceCreate{Type: api.PHP, Name: "site"})
		must(err)
		var archive bytes.Buffer
		z := zip.NewWriter(&archive)
		_, err = z.Create("index.html")
		must(err)
		must(z.Close())
		v, err := w.UploadCode(t.Context(), a, name, "site", app.CodeUpload{Filename: "site.zip", Size: int64(archive.Len()), Body: bytes.NewReader(archive.Bytes())})
		must(err)
		return site, v.ID
	}
	site, version := code(owner, "shop")
	ours = w.values()
	maps.Copy(ours, map[string]string{"service": site.ID.String(), "version": version})
	site, version = code(stranger, "bazaar")
	theirs = w.values()
	maps.Copy(theirs, map[string]string{
		"user": "3", "token": "1" + strings.Repeat("0", 6), "application": site.Application.String(), "service": site.ID.String(), "node": string(nodes[1].ID),
		"operation": string(op.ID), "version": version, "sha256": strings.Repeat("b", 64),
	})
	list, err := w.Tokens(t.Context(), stranger, "me", app.Page{})
	must(err)
	theirs["token"] = fmt.Sprint(list.Items[0].ID)
	for _, name := range owned {
		if ours[name] == theirs[name] {
			t.Fatalf("%s is %s in both applications", name, ours[name])
		}
	}
	return ours, theirs
}

// Two users with an application each: every id of one, presented by the user, a viewer, an operator, the manager and the agent of
// the other, alone or mixed with ids of the other, is unknown on every route, and is on record.
func TestTwoUsersTwoApplications(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorldIn(t, dir)
	ours, theirs := w.twoApplications(t)
	_, rows := readExpectations(t)
	tried, refused := 0, map[string]int64{}
	for _, r := range w.routes() {
		names := ownedIn(r)
		i := slices.IndexFunc(rows, func(row expectation) bool { return row.route == r.ID })
		if len(names) == 0 || i < 0 {
			continue
		}
		for _, who := range []string{"owner", "viewer", "operator", "manager", "agent"} {
			for _, values := range mixtures(names, ours, theirs) {
				if r.ID == "share-application" && values["application"] == ours["application"] {
					continue // to give it to the other user is what the route is for
				}
				want := http.StatusNotFound
				if r.Rule == "admin" || who == "manager" || who == "agent" {
					want = rows[i].status[who] // the rule shuts it out
				}
				tried++
				got := w.call(t, w.callers[who], request{method: r.Method, path: r.Path, values: values, body: w.requestBody(rows[i].body)})
				name := map[string]string{"manager": "manager " + ownManager, "agent": "agent " + ownAgent}[who]
				if name == "" {
					name = who
				}
				refused[name]++
				if r.ID == "show-upload" && values["sha256"] == theirs["sha256"] && values["service"] == ours["service"] && values["application"] == ours["application"] {
					refused[name]-- // it has what it does not know: nothing yet
					continue
				}
				reached := slices.Contains(names, "application") && values["application"] == ours["application"]
				if got.status == http.StatusForbidden && want == http.StatusNotFound && reached && who != "owner" {
					continue // a share that is too low is said before the rest is looked up
				}
				if got.status != want {
					t.Errorf("%s as %s with %v: %d %.300s, want %d", r.ID, who, picked(names, values), got.status, got.body, want)
				}
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d calls were tried", tried)
	}
	if err := w.Stop(); err != nil { // what was only counted is written
		t.Fatal(err)
	}
	for name, count := range onRecord(t, dir) {
		refused[name] -= count
	}
	for name, missing := range refused {
		if missing != 0 {
			t.Errorf("%d refusals of %s are not in the audit log", missing, name)
		}
	}
}

// mixtures gives values in which at least one of the names is theirs.
func mixtures(names []string, ours, theirs map[string]string) (all []map[string]string) {
	for bits := 1; bits < 1<<len(names); bits++ {
		values := maps.Clone(ours)
		for i, name := range names {
			if bits&(1<<i) != 0 {
				values[name] = theirs[name]
			}
		}
		all = append(all, values)
	}
	return all
}

func picked(names []string, values map[string]string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		out[name] = values[name]
	}
	return out
}

// onRecord counts the refusals in the audit log of a director that has ended.
func onRecord(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	counts := map[string]int64{}
	err = s.View(t.Context(), func(r *store.Read) error {
		for page := (store.Page{Limit: 1000}); ; {
			entries, next, err := r.Audit(store.AuditFilter{Failed: true}, page)
			for _, e := range entries {
				counts[e.Who] += e.Count
			}
			if page.After = next; err != nil || next == 0 {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.VerifyAudit(t.Context(), dir, dir+"/director.db"); err != nil {
		t.Error(err)
	}
	return counts
}

// The rule of every route that names an application, or what belongs to one, says which shares it lets in, and so it is.
func TestSharesSeeWhatTheRouteSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, rows := readExpectations(t)
	levels := map[string]int{"own": 0, "operate": 1, "view": 2}
	for _, r := range w.routes() {
		names := ownedIn(r)
		if !slices.ContainsFunc(names, func(name string) bool { return name != "user" && name != "token" }) || r.Rule == "admin" {
			continue
		}
		level, ok := levels[r.Rule]
		if !ok {
			t.Errorf("route %s has the rule %s: say own, operate or view", r.ID, r.Rule)
			continue
		}
		i := slices.IndexFunc(rows, func(row expectation) bool { return row.route == r.ID })
		if i < 0 {
			continue // TestAccess says so
		}
		for who, has := range map[string]int{"operator": 1, "viewer": 2} {
			if shut := rows[i].status[who] == http.StatusForbidden; shut != (has > level) && r.ID != "unshare-application" {
				t.Errorf("route %s has the rule %s, and %s gets %d", r.ID, r.Rule, who, rows[i].status[who])
			}
		}
	}
}
