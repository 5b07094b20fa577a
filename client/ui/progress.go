package ui

import (
	"fmt"
	"sync"
	"time"
)

// Progress tells on a screen how long work goes on: on a terminal by one line that is written again and again
// below the steps, elsewhere by a line for each change. It may be used from several goroutines.
type Progress struct {
	mu      sync.Mutex
	s       Screen
	title   string
	started time.Time
	state   string
	live    bool // the last line on the screen is the live one
}

// NewProgress begins to tell of the work called title.
func NewProgress(s Screen, title string) *Progress {
	return &Progress{s: s, title: title, started: time.Now()}
}

// Step tells of something that has happened at a time, on a line that stays.
func (p *Progress) Step(at time.Time, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(at.Local().Format(time.TimeOnly) + "  " + Clean(text))
	p.draw()
}

// Note tells something about the work on a line that stays.
func (p *Progress) Note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(Clean(text))
	p.draw()
}

// State tells how the work stands. The same state again writes no line.
func (p *Progress) State(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := text != p.state
	p.state = text
	if p.s.Live {
		p.draw()
	} else if changed && text != "" {
		p.line(Clean(p.title + ": " + text))
	}
}

// Tick brings the elapsed time on the live line up to date. It does nothing where there is no such line.
func (p *Progress) Tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draw()
}

// End removes the live line.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.state = ""
}

func (p *Progress) line(text string) {
	p.erase()
	fmt.Fprintln(p.s, text)
}

func (p *Progress) erase() {
	if p.live {
		fmt.Fprint(p.s, "\r\x1b[K")
		p.live = false
	}
}

func (p *Progress) draw() {
	if !p.s.Live || p.state == "" {
		return
	}
	elapsed := time.Since(p.started).Round(time.Second)
	text := Clean(fmt.Sprintf("%s: %s (%s)", p.title, p.state, elapsed))
	if columns := p.s.Columns(); columns > 0 {
		text = Cut(text, columns-1) // a full line would wrap, and could not be erased
	}
	p.erase()
	fmt.Fprint(p.s, p.s.paint(Faint, text))
	p.live = true
}
