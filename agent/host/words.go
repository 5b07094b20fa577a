package host

import (
	"strings"
	"unicode/utf8"
)

// Bounds of the last words of a program.
const (
	wordLines = 10 // haproxy tells why it fails some lines before the last
	wordBytes = 1 << 10
)

// LastWords gives what a program has written last into the log of its name, to stand at the end of an error: at most 10
// lines of 1 KiB together; "" where it has written nothing.
func (l *Logs) LastWords(name string) string {
	lines, err := l.Tail(name, wordLines)
	if err != nil {
		return ""
	}
	text := strings.TrimSpace(strings.ToValidUTF8(string(lines), "?"))
	if over := len(text) - wordBytes; over > 0 {
		for text = text[over:]; text != "" && !utf8.RuneStart(text[0]); {
			text = text[1:]
		}
		text = "…" + text
	}
	if text == "" {
		return ""
	}
	return "; the last lines of its log:\n" + text
}
