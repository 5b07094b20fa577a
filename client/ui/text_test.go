package ui_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"conpaas/client/ui"

	"pgregory.net/rapid"
)

func TestCleanNeutralisesWhatATerminalObeys(t *testing.T) {
	for in, want := range map[string]string{
		"shop":               "shop",
		"日本 é":               "日本 é",
		"red\x1b[31m":        `red\x1b[31m`,
		"a\nb\tc\r":          `a\nb\tc\r`,
		"\u009b31m":          `\u009b31m`,
		"safe\u202etxt.exe":  `safe\u202etxt.exe`,
		"zero\u200bwidth":    `zero\u200bwidth`,
		"broken \xff\xc3":    `broken \xff\xc3`,
		"replacement \ufffd": "replacement \ufffd",
		"back\\slash":        "back\\slash",
	} {
		if got := ui.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := ui.CleanLines("a\n\tb\x1b"); got != "a\n\tb\\x1b" {
		t.Errorf("CleanLines = %q", got)
	}
}

func TestWidthAndCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		in4   string
	}{
		{"abcd", 4, "abcd"},
		{"abcde", 5, "abc…"},
		{"日本", 4, "日本"},
		{"日本語", 6, "日…"},
		{"e\u0301tude", 5, "e\u0301tu…"},
		{"", 0, ""},
		{"🙂🙂🙂", 6, "🙂…"},
		{"\u1112\u1161\u11ab", 2, "\u1112\u1161\u11ab"},
	} {
		if got := ui.Width(c.text); got != c.width {
			t.Errorf("Width(%q) = %d, want %d", c.text, got, c.width)
		}
		if got := ui.Cut(c.text, 4); got != c.in4 {
			t.Errorf("Cut(%q, 4) = %q, want %q", c.text, got, c.in4)
		}
	}
}

func TestCutNeverExceedsItsColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, columns := ui.Clean(rapid.String().Draw(t, "text")), rapid.IntRange(0, 20).Draw(t, "columns")
		if got := ui.Width(ui.Cut(text, columns)); got > columns {
			t.Fatalf("Cut(%q, %d) takes %d columns", text, columns, got)
		}
	})
}

// FuzzClean holds that nothing unprintable is left, however the text is cut in pieces.
func FuzzClean(f *testing.F) {
	f.Add("a\x1b]0;title\x07b", 3)
	f.Add("日本\r\nx", 2)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if bad := strings.IndexFunc(ui.Clean(text), func(r rune) bool { return !unicode.IsPrint(r) }); bad >= 0 {
			t.Errorf("Clean(%q) leaves an unprintable character at %d", text, bad)
		}
		var whole, pieces bytes.Buffer
		w := ui.Screen{Writer: &whole, Terminal: true}.Text()
		_, _ = w.Write([]byte(text + "."))
		cut = min(max(cut, 0), len(text))
		w = ui.Screen{Writer: &pieces, Terminal: true}.Text()
		for _, piece := range []string{text[:cut], text[cut:], "."} {
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatalf("Write(%q) = %d, %v", piece, n, err)
			}
		}
		if whole.String() != pieces.String() {
			t.Errorf("cut at %d: %q, whole: %q", cut, pieces.String(), whole.String())
		}
	})
}
