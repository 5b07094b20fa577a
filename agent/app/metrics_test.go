package app

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/client/wire"
)

func TestFactsAreFigures(t *testing.T) {
	got := facts([]api.RoleStatus{
		{Role: "mysql", Facts: api.RawJSON(`{"queue": 3, "full": true, "primary": false, "state": "Synced", "more": {"n": 1}}`)},
		{Role: "glb", Facts: api.RawJSON(`[1]`)},
		{Role: "web"},
	})
	want := []wire.Figure{{Labels: []string{"mysql", "full"}, Value: 1}, {Labels: []string{"mysql", "primary"}}, {Labels: []string{"mysql", "queue"}, Value: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMetricIsInTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Families() {
		if !strings.Contains(string(docs), "`"+f.Name+"`") {
			t.Errorf("docs/metrics.md does not list %s", f.Name)
		}
	}
}
