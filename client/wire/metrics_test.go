package wire

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"conpaas/client/api"
)

func TestMetricsCountByRouteAndStatus(t *testing.T) {
	m := NewMetrics("1.2.3")
	full := error(nil)
	m.Add(func(context.Context) ([][]Figure, error) {
		return [][]Figure{{{Labels: []string{"on"}, Value: 2}, {Labels: []string{"off"}, Value: 3}}, {{Value: 9}}}, full
	}, Family{Name: "conpaas_lamps", Help: "Lamps.", Labels: []string{"state"}}, Family{Name: "conpaas_flashes_total", Help: "Flashes.", Grows: true})
	a := NewAPI(Options{
		Title: "test", Log: slog.New(slog.DiscardHandler), Metrics: m,
		Authenticate: func(*http.Request) (Caller, error) { return Caller{}, nil },
	})
	anyone := Rule{Name: "anyone", Allow: func(context.Context, Caller, func(string) string) error { return nil }}
	Register(a, Route{Method: http.MethodGet, Path: "/v1/things/{thing}", ID: "show-thing"}, anyone, func(_ context.Context, in *struct {
		Thing string `path:"thing"`
	},
	) (*struct{}, error) {
		if in.Thing == "none" {
			return nil, api.Errorf(api.CodeNotFound, "there is none")
		}
		return nil, nil
	})
	a.Raw(Route{Method: http.MethodGet, Path: "/metrics", ID: "metrics"}, anyone, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		return m.Serve(w, r, map[string]string{"node": "n7"})
	})
	get := func(path string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, path := range []string{"/v1/things/a", "/v1/things/b", "/v1/things/none", "/v1/secret-name", "/v1/things/a/b"} {
		get(path)
	}
	_, text := get("/metrics")
	for _, want := range []string{
		`conpaas_http_requests_total{node="n7",route="show-thing",status="204"} 2`,
		`conpaas_http_requests_total{node="n7",route="show-thing",status="404"} 1`,
		`conpaas_http_requests_total{node="n7",route="none",status="404"} 2`,
		`conpaas_http_request_duration_seconds_count{node="n7",route="show-thing"} 3`,
		`conpaas_http_request_duration_seconds_bucket{node="n7",route="show-thing",le="+Inf"} 3`,
		`conpaas_build_info{node="n7",version="1.2.3"} 1`,
		`conpaas_lamps{node="n7",state="off"} 3`,
		"# TYPE conpaas_flashes_total counter", `conpaas_flashes_total{node="n7"} 9`,
		`go_goroutines{node="n7"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret-name") {
		t.Error("a caller's text is in the metrics")
	}
	if status, again := get("/metrics"); status != http.StatusOK || !strings.Contains(again, `route="metrics",status="200"} 1`) {
		t.Errorf("a second time: %d\n%s", status, again)
	}
	full = api.Errorf(api.CodeUnavailable, "try again")
	if status, text := get("/metrics"); status != http.StatusServiceUnavailable || !strings.Contains(text, "try again") {
		t.Errorf("what cannot be read is answered with %d: %s", status, text)
	}
}
