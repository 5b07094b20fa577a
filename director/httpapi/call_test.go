package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"conpaas/client/api"
)

// reply is what a caller got.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	problem api.Error // of an error
}

// request is one call.
type request struct {
	method, path string // path as registered
	values       map[string]string
	query        string
	body         string // JSON, "" for none
	kind         string // of the body; default application/json
	chunked      bool   // send no length
}

// fill gives the escaped path of a route with values for its parameters.
func fill(t *testing.T, path string, values map[string]string) string {
	t.Helper()
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			value, known := values[name]
			if !known {
				t.Fatalf("path %s: say in world.values what {%s} is", path, name)
			}
			part = strings.ReplaceAll(url.PathEscape(value), ".", "%2E")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "/")
}

// call makes one request and reads at most 1 MiB of the answer.
func (w *world) call(t *testing.T, c *caller, r request) reply {
	t.Helper()
	escaped := fill(t, r.path, r.values)
	path, err := url.PathUnescape(escaped)
	if err != nil {
		t.Fatal(err)
	}
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
		if r.chunked {
			body = io.MultiReader(body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, w.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Path, req.URL.RawPath, req.URL.RawQuery = path, escaped, r.query
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
		if r.kind != "" {
			req.Header.Set("Content-Type", r.kind)
		}
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	answer, err := c.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s as %s: %v", r.method, escaped, c.name, err)
	}
	defer answer.Body.Close()
	out := reply{status: answer.StatusCode, header: answer.Header}
	if out.body, err = io.ReadAll(io.LimitReader(answer.Body, 1<<20)); err != nil {
		t.Fatalf("%s %s as %s: %v", r.method, escaped, c.name, err)
	}
	if out.status >= 400 {
		decoder := json.NewDecoder(bytes.NewReader(out.body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&out.problem); err != nil || out.problem.Status != out.status || out.problem.Detail == "" || out.problem.RequestID == "" {
			t.Errorf("%s %s as %s: %d with %.300q, want a problem document: %v", r.method, escaped, c.name, out.status, out.body, err)
		}
	}
	return out
}
