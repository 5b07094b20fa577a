package task

import (
	"strings"
	"testing"
)

// TestParse reads lines whose process names try to look like other fields.
func TestParse(t *testing.T) {
	rest := " S 7 1 42 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 9876 4096 1"
	want := Status{State: 'S', Parent: 7, Session: 42, Start: 9876}
	for _, name := range []string{"(sh)", "(a b)", "(a) R 1 1 (b)", "()", "(\n)"} {
		if got, err := parse([]byte("12 " + name + rest)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	for _, bad := range []string{"", "12 (sh)", "12 (sh) S 1", "12 (sh" + rest, strings.Replace("12 (sh)"+rest, "42", "x", 1)} {
		if got, err := parse([]byte(bad)); err == nil && got == want {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("12 (sh) S 7 1 42 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 9876 4096 1"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if s, err := parse(line); err == nil && s.State == 0 {
			t.Errorf("%q was read as %+v", line, s)
		}
	})
}
