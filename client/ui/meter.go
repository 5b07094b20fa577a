package ui

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
)

// Size shows a number of bytes for people.
func Size(n int64) string {
	const step = 1024
	v, unit := float64(n), 0
	for v >= step && unit < 4 {
		v, unit = v/step, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + [...]string{"", " KiB", " MiB", " GiB", " TiB"}[unit]
}

// How often progress is told, in parts of a hundred.
const (
	fine   = 1  // on one line of a terminal
	coarse = 25 // on lines that stay
)

// Meter tells how far the sending of something has come, while it is read. The sender may still read it for a moment after the
// answer is there.
type Meter struct {
	from     io.Reader
	progress *Progress
	all      int64
	end      string
	done     atomic.Int64
	told     int64 // part of a hundred
}

// NewMeter makes a meter for what comes after the first done of all bytes; end is what happens when all are sent.
func NewMeter(p *Progress, from io.Reader, done, all int64, end string) *Meter {
	m := &Meter{from: from, progress: p, all: all, end: end}
	m.done.Store(done)
	return m
}

// Whole tells whether all has been read.
func (m *Meter) Whole() bool { return m.done.Load() == m.all }

// Read implements io.Reader.
func (m *Meter) Read(b []byte) (int, error) {
	n, err := m.from.Read(b)
	done := m.done.Add(int64(n))
	step := int64(coarse)
	if m.progress.s.Live {
		step = fine
	}
	part := done * 100 / max(m.all, 1) / step * step
	switch {
	case n == 0:
	case done == m.all:
		m.progress.State(Size(m.all) + " sent, " + m.end)
	case part > m.told:
		m.progress.State(fmt.Sprintf("%d %% of %s", part, Size(m.all)))
	}
	m.told = part
	return n, err
}
