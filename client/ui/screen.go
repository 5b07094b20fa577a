package ui

import (
	"io"
	"os"
	"runtime"

	"golang.org/x/term"
)

// Screen is an output stream and what is known of it.
type Screen struct {
	io.Writer
	Terminal bool // somebody looks at it
	Live     bool // it moves its cursor when told to
	Color    bool // it shows colours, and they are wanted
	file     *os.File
}

// NewScreen looks at w. Colours are for terminals only, and never where NO_COLOR is set or TERM is dumb
// (https://no-color.org).
func NewScreen(w io.Writer, getenv func(string) string) Screen {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return Screen{Writer: w}
	}
	name := getenv("TERM")
	capable := name != "dumb" && (runtime.GOOS != "windows" || name != "" || getenv("WT_SESSION") != "")
	return Screen{Writer: w, Terminal: true, Live: capable, Color: capable && getenv("NO_COLOR") == "", file: file}
}

// Columns is the width of the terminal now, in columns; 0 where w is no terminal and nothing is cut.
func (s Screen) Columns() int {
	if s.file == nil {
		return 0
	}
	width, _, err := term.GetSize(int(s.file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// Text gives a writer for text from another machine: on a terminal its escapes are neutralised, elsewhere
// the bytes pass as they are.
func (s Screen) Text() io.Writer {
	if !s.Terminal {
		return s.Writer
	}
	return &cleaner{w: s.Writer}
}

// Color is the colour of a text.
type Color int

// The colours, by what they mean.
const (
	Plain Color = iota
	Good
	Warning
	Bad
	Faint
)

var sequences = [...]string{Plain: "", Good: "\x1b[32m", Warning: "\x1b[33m", Bad: "\x1b[31m", Faint: "\x1b[2m"}

func (s Screen) paint(c Color, text string) string {
	if !s.Color || c == Plain || text == "" {
		return text
	}
	return sequences[c] + text + "\x1b[0m"
}
