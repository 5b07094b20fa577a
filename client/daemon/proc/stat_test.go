//go:build linux

package proc

import "testing"

func TestParseStat(t *testing.T) {
	tail := " 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 987654 0 0"
	for name, want := range map[string]stat{
		"5 (sh) S" + tail:         {pid: 5, state: 'S', session: 42, start: 987654},
		"5 (a) (b) Z 1) Z" + tail: {pid: 5, state: 'Z', session: 42, start: 987654},
		"5 () R" + tail + " 1 2":  {pid: 5, state: 'R', session: 42, start: 987654},
	} {
		if got, err := parseStat([]byte(name)); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
	for _, wrong := range []string{"", "5", "5 (sh)", "x (sh) S" + tail, "5 (sh) S 1 2 3", "5 (sh) SS" + tail} {
		if got, err := parseStat([]byte(wrong)); err == nil {
			t.Errorf("%q: got %+v", wrong, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("5 (a b) S 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 987654 0"))
	f.Fuzz(func(t *testing.T, text []byte) { parseStat(text) })
}
