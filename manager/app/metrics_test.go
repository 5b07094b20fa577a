package app

import (
	"os"
	"strings"
	"testing"
)

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
