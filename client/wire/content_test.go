package wire

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// What http.ServeContent refuses is an error of the route like any other; the rest is as it makes it.
func TestServeContent(t *testing.T) {
	for _, test := range []struct {
		header, value string
		status        int
		body          string
	}{
		{"", "", 200, "content"}, {"Range", "bytes=1-2", 206, "on"}, {"Range", "bytes=90-", 416, ""}, {"Range", "lines=1", 416, ""}, {"If-Match", `"x"`, 412, ""},
	} {
		r := httptest.NewRequest("GET", "/file", nil)
		if test.header != "" {
			r.Header.Set(test.header, test.value)
		}
		w := httptest.NewRecorder()
		err := ServeContent(w, r, time.Time{}, strings.NewReader("content"))
		if test.status < 400 {
			if err != nil || w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("%s %s: %d %q, %v", test.header, test.value, w.Code, w.Body, err)
			}
			continue
		}
		refused, ok := err.(*api.Error)
		if !ok || refused.Status != test.status || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "" {
			t.Errorf("%s %s: %d %q, %v; want status %d", test.header, test.value, w.Code, w.Body, err, test.status)
		}
	}
}

// A refusal speaks of JSON, not of the types of the program, and repeats little of a long request.
func TestRefusalsOfJSON(t *testing.T) {
	type body struct {
		Count map[string]int `json:"count"`
	}
	for text, want := range map[string]string{
		`{"count":{"a":1e2}}`: "count", `{"count":{"a":1e400}}`: "count", `{"count":3}`: "count", `[]`: "body", `"x"`: "body", `{"a`: "body", ``: "body", `{"b":1}`: "body", `{} x`: "body",
		strings.Repeat("[", 20_000): "body", `{"` + strings.Repeat("b", 5000) + `":1}`: "body", `{"count":{"a":` + strings.Repeat("9", 5000) + `}}`: "count",
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		err, ok := Decode(r, &body{}).(*api.Error)
		if !ok || err.Status != http.StatusUnprocessableEntity || !strings.HasPrefix(err.Field, want) || strings.Contains(err.Detail, "Go") || len(err.Detail) > 300 {
			t.Errorf("%.40s: %v", text, err)
		}
	}
	if p := newProblem("id", *api.InField(strings.Repeat("f", 5000), "%s", strings.Repeat("d", 50_000))); len(p.Detail) > detailMax+3 || len(p.Field) > fieldMax+3 {
		t.Errorf("a problem has %d bytes of detail and %d of field", len(p.Detail), len(p.Field))
	}
}
