package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/director"
)

// growing is a log that grows while it is read, and breaks off now and then.
type growing struct {
	t    *rapid.T
	log  []string
	now  int // lines that are there
	half bool
}

func (g *growing) grow() int {
	g.now = min(len(g.log), g.now+rapid.IntRange(0, 9).Draw(g.t, "more"))
	return g.now
}

// open gives the last lines, and, where it is followed, some that come.
func (g *growing) open(_ context.Context, q director.LogQuery) (io.ReadCloser, error) {
	from := max(0, g.grow()-q.Lines)
	end := g.now
	if q.Follow {
		end = g.grow()
	}
	text := strings.Join(g.log[from:end], "")
	if g.half && end < len(g.log) {
		text += g.log[end][:len(g.log[end])-1]
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// A log that is followed over breaks is shown whole and once.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &growing{t: t, half: rapid.Bool().Draw(t, "half")}
		for i := range rapid.IntRange(1, 600).Draw(t, "lines") {
			g.log = append(g.log, fmt.Sprintf("line %d\n", i))
			if i%5 == 0 {
				g.log = append(g.log, "again and again\n")
			}
		}
		var got bytes.Buffer
		shown := &tail{to: &got}
		query := director.LogQuery{Follow: true, Lines: 1000}
		for turn := 0; g.now < len(g.log) || turn < 2; turn++ {
			if turn > 0 {
				if err := shown.catchUp(t.Context(), g.open, query); err != nil {
					t.Fatal(err)
				}
				query.Lines = knownLines
			}
			text, _ := g.open(t.Context(), query)
			if err := shown.copy(text, func() {}); err != nil {
				t.Fatal(err)
			}
		}
		if err := shown.catchUp(t.Context(), g.open, query); err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(g.log, ""); got.String() != want {
			t.Fatalf("shown:\n%swant:\n%s", got.String(), want)
		}
	})
}

func TestUnseen(t *testing.T) {
	lines := func(s string) []string { return strings.Split(s, "") }
	for _, c := range []struct{ known, lines, want string }{
		{"", "abc", "abc"},
		{"abc", "abc", ""},
		{"abc", "abcd", "d"},
		{"abc", "xyabcd", "d"},
		{"abc", "bcd", "d"},
		{"abc", "xyz", "xyz"},
		{"xx", "xxxx", "xx"},
		{"a", "aba", "ba"},
	} {
		known := lines(c.known)
		if got := strings.Join(unseen(known, lines(c.lines)), ""); got != c.want {
			t.Errorf("unseen(%q, %q) = %q, want %q", c.known, c.lines, got, c.want)
		}
	}
}
