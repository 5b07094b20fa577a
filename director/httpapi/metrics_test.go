package httpapi_test

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// An administrator's scraper sees what there is, and docs/metrics.md lists every metric of the project's own.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	admin := w.callers["admin"]
	r.Header.Set("Authorization", "Bearer "+admin.token.Reveal())
	answer, err := admin.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("status %d, type %s", answer.StatusCode, kind)
	}
	for _, want := range []string{
		`conpaas_applications{state="RUNNING"} 1`, `conpaas_nodes{cloud="default",state="ready"} 2`,
		`conpaas_operations{kind="service.start",state="succeeded"} 1`, `conpaas_managers_connected 1`, `conpaas_spliced_connections 0`,
		`conpaas_http_requests_total{route="join",status="200"} 2`, "conpaas_ca_expiry_timestamp_seconds 2", "conpaas_fence 1",
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	for _, private := range []string{"owner", "stranger", "a1"} {
		if regexp.MustCompile(`"` + private + `"`).Match(text) {
			t.Errorf("%s is in the metrics", private)
		}
	}
	docs, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`(?m)^# HELP (conpaas_\S+)`).FindAllSubmatch(text, -1) {
		if !strings.Contains(string(docs), "`"+string(found[1])+"`") {
			t.Errorf("docs/metrics.md does not list %s", found[1])
		}
	}
}
