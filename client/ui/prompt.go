package ui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// ErrNoTerminal says that nobody can be asked.
var ErrNoTerminal = errors.New("there is no terminal to ask at")

// Prompt asks the person at a terminal.
type Prompt struct {
	in   *os.File
	out  io.Writer
	line *bufio.Reader
}

// NewPrompt asks on out and reads from in. Where in is no terminal, every question fails with ErrNoTerminal;
// where only out is none, because it goes to a file, the questions go to the terminal itself.
func NewPrompt(in io.Reader, out Screen) *Prompt {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &Prompt{}
	}
	p := &Prompt{in: file, out: out, line: bufio.NewReader(file)}
	if !out.Terminal {
		p.out = controlling{}
	}
	return p
}

// controlling writes to the terminal that the process belongs to.
type controlling struct{}

// Write opens the terminal anew each time: there are only a few questions.
func (controlling) Write(p []byte) (int, error) {
	name := "/dev/tty"
	if runtime.GOOS == "windows" {
		name = "CONOUT$"
	}
	terminal, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return 0, ErrNoTerminal
	}
	n, err := terminal.Write(p)
	return n, errors.Join(err, terminal.Close())
}

// Tell says something that a question is about.
func (p *Prompt) Tell(text string) error {
	if !p.Possible() {
		return ErrNoTerminal
	}
	_, err := fmt.Fprintln(p.out, CleanLines(text))
	return err
}

// Possible tells whether there is somebody to ask.
func (p *Prompt) Possible() bool { return p.in != nil }

// Line asks for one line of text.
func (p *Prompt) Line(ctx context.Context, question string) (string, error) {
	return p.ask(ctx, question, func() (string, error) {
		text, err := p.line.ReadString('\n')
		return strings.TrimSpace(text), err
	})
}

// Confirm asks a question that only "y" or "yes" affirms.
func (p *Prompt) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := p.Line(ctx, question+" [y/N] ")
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes"), err
}

// Password asks for a text that is not shown while it is typed.
func (p *Prompt) Password(ctx context.Context, question string) (string, error) {
	return p.ask(ctx, question, func() (string, error) {
		text, err := term.ReadPassword(int(p.in.Fd()))
		fmt.Fprintln(p.out)
		return string(text), err
	})
}

type answer struct {
	text string
	err  error
}

// ask gives up when ctx ends. The goroutine that reads is then left behind: a read of a terminal cannot be
// called off, and the program is about to end. The terminal gets back its echo.
func (p *Prompt) ask(ctx context.Context, question string, read func() (string, error)) (string, error) {
	if !p.Possible() {
		return "", ErrNoTerminal
	}
	state, err := term.GetState(int(p.in.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask at the terminal: %w", err)
	}
	if _, err := fmt.Fprint(p.out, Clean(strings.TrimRight(question, " "))+" "); err != nil {
		return "", err
	}
	done := make(chan answer, 1)
	go func() {
		text, err := read()
		done <- answer{text, err}
	}()
	select {
	case a := <-done:
		if errors.Is(a.err, io.EOF) {
			return "", errors.New("the terminal was closed before an answer came")
		}
		return a.text, a.err
	case <-ctx.Done():
		fmt.Fprintln(p.out)
		return "", errors.Join(ctx.Err(), term.Restore(int(p.in.Fd()), state))
	}
}
