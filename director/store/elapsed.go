package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"gorm.io/gorm"
)

// Hour is what one credit buys of one machine.
const Hour = time.Hour

// longestGap bounds the time that is charged for on the word of the clock alone: the host was off or is another one.
const longestGap = 31 * 24 * time.Hour

// clockSet is by how much the clock may differ from the time that has passed without anybody being told.
const clockSet = 5 * time.Minute

// reading is what the host says of the time. Boot is "" where it only has a clock that anybody may set.
type reading struct {
	wall   time.Time
	boot   string
	uptime time.Duration
}

// since gives the time that has passed between two readings; it is never negative. Whatever happened to the clock, the host's
// uptime tells it exactly as long as the host was not started anew. fault says what is strange about the clock, "" where nothing is.
func (r reading) since(before reading) (passed time.Duration, fault string) {
	wall := r.wall.Sub(before.wall)
	if r.boot != "" && r.boot == before.boot {
		passed = max(0, r.uptime-before.uptime)
		if off := (wall - passed).Round(time.Second); off.Abs() > clockSet {
			fault = fmt.Sprintf("the clock of the director's host was set by %v; credit is charged for the %v that really passed", off, passed.Round(time.Second))
		}
		return passed, fault
	}
	switch {
	case wall < 0:
		return 0, fmt.Sprintf("the clock of the director's host is %v behind the last start; no credit is charged for the time between", -wall.Round(time.Second))
	case wall > longestGap:
		return longestGap, fmt.Sprintf("the clock of the director's host is %v ahead of the last start; credit is charged for %v of them", wall.Round(time.Second), longestGap)
	}
	return wall, ""
}

// hostUptime tells how long the host has been up, sleep included, and which of its starts that was; "" where it cannot tell.
func hostUptime() (boot string, uptime time.Duration) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var t unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return "", 0
	}
	return strings.TrimSpace(string(id)), time.Duration(t.Nano())
}

type clockRow struct {
	ID      int `gorm:"primaryKey"`
	Elapsed time.Duration
	Wall    time.Time
	Boot    string
	Uptime  time.Duration
}

func (clockRow) TableName() string { return "credit_clock" }

func (r clockRow) reading() reading {
	return reading{wall: r.Wall.UTC(), boot: r.Boot, uptime: r.Uptime}
}

// elapsed gives the time of the clock by which machines are charged: it began with the installation, goes on while the
// director is down, and never goes back or leaps.
func (r *Read) elapsed() (time.Duration, error) {
	row, err := r.clockRow()
	passed, _ := r.time.since(row.reading())
	return row.Elapsed + passed, err
}

func (r *Read) clockRow() (clockRow, error) {
	var row clockRow
	err := r.db.First(&row, 1).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return clockRow{ID: 1, Wall: r.time.wall, Boot: r.time.boot, Uptime: r.time.uptime}, nil
	}
	return row, rowError(err, "clock of the credit")
}

// tick writes elapsed down, and tells people when the clock was set.
func (tx *Tx) tick() (time.Duration, error) {
	row, err := tx.clockRow()
	if err != nil {
		return 0, err
	}
	passed, fault := tx.time.since(row.reading())
	if fault != "" {
		if _, err := tx.AddEvent(Event{Kind: "credit.clock", Text: fault, Alarm: true}); err != nil {
			return 0, err
		}
	}
	row.Elapsed += passed
	row.Wall, row.Boot, row.Uptime = tx.time.wall, tx.time.boot, tx.time.uptime
	return row.Elapsed, rowError(tx.db.Save(&row).Error, "clock of the credit")
}
