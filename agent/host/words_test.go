package host_test

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"conpaas/agent/host/hosttest"
)

func TestLastWords(t *testing.T) {
	h := hosttest.New(t)
	for text, want := range map[string]string{
		"":                                   "",
		" \n\n":                              "",
		"one\n":                              "one",
		"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\nend": "2\n3\n4\n5\n6\n7\n8\n9\n10\nend",
		"a\xffb\n":                           "a?b",
		strings.Repeat("x", 3000) + "end\n":  "…" + strings.Repeat("x", 1021) + "end",
		strings.Repeat("ü", 3000) + "!end\n": "…" + strings.Repeat("ü", 510) + "!end",
	} {
		if err := os.WriteFile(h.Logs().Path("web"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := h.Logs().LastWords("web")
		if want != "" {
			want = "; the last lines of its log:\n" + want
		}
		if got != want || !utf8.ValidString(got) {
			t.Errorf("%.40q: %.200q; want %.200q", text, got, want)
		}
	}
	if got := h.Logs().LastWords("none"); got != "" {
		t.Errorf("a log that is not there: %q", got)
	}
}
