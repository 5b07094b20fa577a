package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// An export is one JSON document with what is known of the user, no secret in it, and nothing of others.
func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.CreateApplication(t.Context(), app.Actor{ID: 3, Name: "stranger"}, api.ApplicationCreate{Name: "foreign"}); err != nil {
		t.Fatal(err)
	}
	export := func(caller, user string) (out api.UserExport) {
		t.Helper()
		got := w.call(t, w.callers[caller], request{method: "GET", path: "/v1/users/{user}/export", values: map[string]string{"user": user}})
		decoder := json.NewDecoder(bytes.NewReader(got.body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&out); err != nil || got.status != http.StatusOK || bytes.Contains(got.body, []byte("argon2")) {
			t.Fatalf("%s of %s: %d %.500s: %v", user, caller, got.status, got.body, err)
		}
		return out
	}
	for _, caller := range []string{"owner", "admin"} {
		e := export(caller, "owner")
		if e.User.Name != "owner" || len(e.Tokens) != 3 || e.Tokens[0].Name != ownToken || len(e.Applications) != 1 || e.Applications[0].Name != "shop" {
			t.Errorf("as %s: %+v, %+v, %+v", caller, e.User, e.Tokens, e.Applications)
		}
		alike, err := w.Events(t.Context(), app.Actor{ID: 2}, "shop", app.Page{Limit: 1000})
		if err != nil || len(e.Events) < 3 || len(alike.Items) < len(e.Events) {
			t.Errorf("as %s: %d events, the application has %d (%v)", caller, len(e.Events), len(alike.Items), err)
		}
	}
	if _, err := w.DeleteApplication(t.Context(), app.Actor{ID: 2}, "shop"); err != nil {
		t.Fatal(err)
	}
	directortest.Await(t, time.Minute, "its volume is an orphan", func() error {
		if e := export("owner", "me"); len(e.Applications) > 0 || len(e.Orphans) != 1 || e.Orphans[0].ID != ownVolume || e.Orphans[0].Until == nil {
			return fmt.Errorf("there are %+v and %+v", e.Applications, e.Orphans)
		}
		return nil
	})
	if e := export("admin", "admin"); e.Orphans == nil || len(e.Orphans) != 0 || e.Applications == nil || len(e.Applications) != 0 || e.Events == nil {
		t.Errorf("of one without applications: %+v, want empty lists", e)
	}
	if e := export("stranger", "me"); len(e.Applications) != 1 || e.Applications[0].Name != "foreign" {
		t.Errorf("of the stranger: %+v", e.Applications)
	}
}
