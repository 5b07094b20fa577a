package httpapi_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// list is a page of any list.
type list struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next"`
}

// fillLists has the owner make at least two things of every kind that is listed, and gives the values of paths to them.
func (w *world) fillLists(t *testing.T, owner app.Actor) map[string]map[string]string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.CreateApplication(t.Context(), owner, api.ApplicationCreate{Name: "second"})
	must(err)
	_, err = w.AddNodes(t.Context(), owner, "shop", "hello", api.NodesChange{Nodes: map[api.Role]int{api.HelloworldNode: 1}})
	must(err)
	site, err := w.AddService(t.Context(), owner, "shop", api.ServiceCreate{Type: api.PHP, Name: "site"})
	must(err)
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	page, err := z.Create("index.html")
	must(err)
	_, err = page.Write([]byte("hello"))
	must(err)
	must(z.Close())
	for range 2 {
		_, err = w.UploadCode(t.Context(), owner, "shop", "site", app.CodeUpload{
			Filename: "site.zip", Size: int64(archive.Len()), Body: bytes.NewReader(archive.Bytes()),
		})
		must(err)
	}
	w.leaveVolumes(t, owner)
	for range 2 { // for the audit log
		w.call(t, w.callers["owner"], request{method: http.MethodPatch, path: "/v1/users/{user}", values: w.values(), body: `{"affiliation":"Example"}`})
	}
	for range 2 {
		w.publish(t, "image")
	}
	code := w.values()
	code["service"] = site.ID.String()
	return map[string]map[string]string{"list-code": code}
}

// leaveVolumes makes two volumes of shop, and two orphans.
func (w *world) leaveVolumes(t *testing.T, owner app.Actor) {
	t.Helper()
	_, err := w.CreateApplication(t.Context(), owner, api.ApplicationCreate{Name: "left"})
	for _, name := range []string{"one", "two"} {
		for _, application := range []string{"shop", "left"} {
			if err == nil {
				_, err = w.CreateVolume(t.Context(), owner, application, api.VolumeCreate{Name: name, SizeMiB: 16})
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	directortest.Await(t, time.Minute, "the volumes are there", func() error {
		list, err := w.Volumes(t.Context(), owner, "left", app.Page{})
		for _, v := range list.Items {
			if v.State != api.VolumeAvailable {
				err = fmt.Errorf("volume %s is %s", v.Name, v.State)
			}
		}
		return err
	})
	if _, err = w.DeleteApplication(t.Context(), owner, "left"); err != nil {
		t.Fatal(err)
	}
	directortest.Await(t, time.Minute, "there are two orphans", func() error {
		list, err := w.Orphans(t.Context(), owner, app.Page{})
		if err == nil && len(list.Items) != 2 {
			err = fmt.Errorf("there are %d", len(list.Items))
		}
		return err
	})
}

// Every list is paged: with limit=1 its pages have an item each, and are together what one large page has.
func TestListsArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	special := w.fillLists(t, app.Actor{ID: 2, Name: "owner"})
	document := w.document(t)
	tested := 0
	everyRoute(t, w, func(r routeInfo, q request, who *caller) {
		if !document.isList(r) {
			return
		}
		tested++
		if values := special[r.ID]; values != nil {
			q.values = values
		}
		get := func(query string) (l list) {
			t.Helper()
			q.query = query
			got := w.call(t, who, q)
			if err := json.Unmarshal(got.body, &l); err != nil || got.status != http.StatusOK {
				t.Fatalf("%s?%s: %d %.300s", r.ID, query, got.status, got.body)
			}
			return l
		}
		all := get("limit=1000")
		if len(all.Items) < 2 || all.Next != "" {
			t.Errorf("%s: %d items and next %q, want two items or more: see fillLists", r.ID, len(all.Items), all.Next)
			return
		}
		after := ""
		for i := range all.Items {
			page := get("limit=1&after=" + url.QueryEscape(after))
			more := i < len(all.Items)-1 // behind the last one the list may have grown meanwhile
			if len(page.Items) != 1 || identity(t, page.Items[0]) != identity(t, all.Items[i]) || more && page.Next == "" {
				t.Errorf("%s: page %d of %d has %d items and next %q: %.200s, want one item, %.200s", r.ID, i+1, len(all.Items), len(page.Items), page.Next, page.Items, all.Items[i])
				return
			}
			after = page.Next
		}
		for _, wrong := range []string{"limit=0", "limit=1001", "limit=x", "after=%20"} {
			q.query = wrong
			if got := w.call(t, who, q); got.status != http.StatusUnprocessableEntity || !strings.HasPrefix(got.problem.Field, "query.") {
				t.Errorf("%s?%s: %d %.200s, want it refused", r.ID, wrong, got.status, got.body)
			}
		}
	})
	if tested < 9 {
		t.Errorf("only %d lists were found", tested)
	}
}

// identity is what an item of a list is told from others by: the rest may change while the test looks.
func identity(t *testing.T, item json.RawMessage) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(item, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id", "name", "type", "node", "user"} {
		if text, err := json.Marshal(members[name]); err == nil && members[name] != nil {
			return string(text)
		}
	}
	t.Fatalf("%s has neither an id nor a name", item)
	return ""
}

// isList tells whether a route answers with a list: by its answer, or, where that has no schema, by its id.
func (d document) isList(r routeInfo) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if strings.HasPrefix(r.ID, "list-") {
		return true
	}
	for status, response := range d.Paths[r.Path]["get"].Responses {
		for _, content := range response.Content {
			name := content.Schema.Ref[strings.LastIndex(content.Schema.Ref, "/")+1:]
			array := content.Schema.Type == "array" || slices.Contains(d.Components.Schemas[name].Required, "items")
			if strings.HasPrefix(status, "2") && array {
				return true
			}
		}
	}
	return false
}
