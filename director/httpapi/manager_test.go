package httpapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"conpaas/client/api"
)

// What a manager answers reaches users as it may: codes about the request with a short text, everything else as a fault
// of the manager. A manager cannot have users log in again, nor write to their terminals.
func TestErrorsOfManagers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const secret = "/var/lib/secret7"
	document := func(status int, e api.Error) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(e)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		status int
		code   api.Code
		field  string
		says   string
	}{
		{"about the request", document(422, *api.InField("name", "no log x")), 422, api.CodeInvalid, "name", "no log x"},
		{"of its agent", document(503, *api.Errorf(api.CodeUnavailable, "the agent of node n2 is not connected")), 503, api.CodeUnavailable, "", "the agent of node n2"},
		{"full disk", document(507, *api.Errorf(api.CodeFull, "full")), 507, api.CodeFull, "", "full"},
		{"another status", document(401, *api.Errorf(api.CodeNotFound, "no such log")), 404, api.CodeNotFound, "", "no such log"},
		{"internal", document(500, *api.Errorf(api.CodeInternal, secret)), 500, api.CodeInternal, "", "internal error"},
		{"log in again", document(401, *api.Errorf(api.CodeUnauthenticated, "send your password to "+secret)), 500, api.CodeInternal, "", ""},
		{"forbidden", document(403, *api.Errorf(api.CodeForbidden, secret)), 500, api.CodeInternal, "", ""},
		{"unknown code", document(422, api.Error{Code: "zap", Detail: secret}), 500, api.CodeInternal, "", ""},
		{"older parent", document(409, *api.Errorf(api.CodeStale, secret)), 503, api.CodeUnavailable, "", "newer parent"},
		{"another version", document(501, *api.Errorf(api.CodeProtocol, "it speaks protocol 0")), 501, api.CodeUnsupported, "", "runs another version: it speaks protocol 0"},
		{"long and bold", document(409, *api.Errorf(api.CodeConflict, "\x1b[1mbold\n%s", strings.Repeat("é", 9000))), 409, api.CodeConflict, "", "[1mbold é"},
		{"no document", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusNotFound) }, 404, api.CodeNotFound, "", "no reason"},
		{"no document, 401", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusUnauthorized) }, 500, api.CodeInternal, "", ""},
		{"nothing", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503, api.CodeUnavailable, "", "does not answer now"},
	} {
		w.Cloud.Answer(c.answer)
		for _, q := range []request{
			{method: "GET", path: "/v1/applications/{application}/log"},
			{method: "GET", path: "/v1/nodes/{node}/log", query: "name=x"},
			{method: "POST", path: "/v1/nodes/{node}/exec", body: `{"command":["true"]}`},
		} {
			q.values = w.values()
			got := w.call(t, w.callers["owner"], q)
			p := got.problem
			if got.status != c.status || p.Code != c.code || p.Field != c.field || !strings.Contains(p.Detail, c.says) {
				t.Errorf("%s, %s: %d %.300s, want %d %s about %q saying %q", c.name, q.path, got.status, got.body, c.status, c.code, c.field, c.says)
			}
			if text := string(got.body); strings.Contains(text, secret) || strings.Contains(text, "http://") || strings.Contains(text, `\u001b`) || len(text) > 2000 {
				t.Errorf("%s, %s: the answer tells too much: %.3000s", c.name, q.path, text)
			}
		}
	}
}

// A command whose output breaks off says so at its end.
func TestCommandThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Cloud.Answer(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"stdout":"aGk="}`+"\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	got := w.call(t, w.callers["owner"], request{method: "POST", path: "/v1/nodes/{node}/exec", values: w.values(), body: `{"command":["true"]}`})
	if text := string(got.body); got.status != 200 || !strings.HasPrefix(text, `{"stdout":"aGk="}`) || !strings.Contains(text, `{"error":"the manager of application \"shop\" has broken its answer off`) {
		t.Errorf("%d %s, want the output and an error", got.status, text)
	}
}

// A log that breaks off is an answer that breaks off: its reader must not take it for the whole.
func TestLogThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, end := range map[string]func(){"whole": func() {}, "broken": func() { panic(http.ErrAbortHandler) }} {
		w.Cloud.Answer(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a line\n")
			_ = http.NewResponseController(w).Flush()
			end()
		})
		for _, path := range []string{"/v1/applications/1/log", "/v1/nodes/n2/log"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+w.callers["owner"].token.Reveal())
			answer, err := w.callers["owner"].client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if string(text) != "a line\n" || (err != nil) != (name == "broken") {
				t.Errorf("%s log of %s: %q, %v", name, path, text, err)
			}
		}
	}
}
