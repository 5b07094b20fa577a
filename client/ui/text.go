package ui

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Clean gives s on one line and without anything that a terminal obeys: control characters, escapes, line
// ends, invisible and direction-changing characters, broken UTF-8 and more accents than a character can have
// become Go escapes such as \x1b or \u202e.
func Clean(s string) string {
	const accents = 4 // the most that a script needs on one character
	seen := accents   // at the beginning an accent would be on what stands before the text
	return clean(s, func(r rune) bool {
		if runeWidth(r) > 0 {
			seen = 0
			return printable(r)
		}
		seen++
		return seen <= accents && printable(r)
	})
}

// CleanLines is Clean for text of more than one line: line ends and tabs stay, and accents.
func CleanLines(s string) string {
	return clean(s, func(r rune) bool { return printable(r) || r == '\n' || r == '\t' })
}

// printable tells whether a character is seen, and nothing else. Unicode counts fillers and variation selectors
// among those that are.
func printable(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func clean(s string, keep func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if (r != utf8.RuneError || size > 1) && keep(r) {
			b.WriteString(s[i : i+size])
		} else {
			quoted := strconv.QuoteToASCII(s[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

// Width is the number of terminal columns that a cleaned text takes: 2 for wide characters of East Asian
// scripts and emoji, 0 for combining marks and for the later parts of a Hangul syllable (Unicode UAX #11).
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) || 0x1160 <= r && r <= 0x11ff || 0xd7b0 <= r && r <= 0xd7ff {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut gives s in at most columns columns; what is left out is marked by … at the end.
func Cut(s string, columns int) string {
	if Width(s) <= columns {
		return s
	}
	if columns <= 0 {
		return ""
	}
	used := 0
	for i, r := range s {
		if used+runeWidth(r) > columns-1 {
			return s[:i] + "…"
		}
		used += runeWidth(r)
	}
	return s
}

func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-Width(s)))
}

// cleaner neutralises text that arrives in pieces; a character cut in two waits for its other half.
type cleaner struct {
	w    io.Writer
	rest []byte
}

// Write counts the bytes of p, whatever their neutral form is.
func (c *cleaner) Write(p []byte) (int, error) {
	data := append(c.rest, p...)
	end := len(data) - partial(data)
	c.rest = append([]byte(nil), data[end:]...)
	if _, err := io.WriteString(c.w, CleanLines(strings.ReplaceAll(string(data[:end]), "\r\n", "\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// partial is how many bytes at the end of data begin a character that is not complete yet; a carriage
// return waits too, for the line feed that may follow.
func partial(data []byte) int {
	if n := len(data); n > 0 && data[n-1] == '\r' {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if tail := data[len(data)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
