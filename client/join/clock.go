package join

import (
	"log/slog"
	"os"
	"time"

	"conpaas/client/api"
)

// clock is what the join does with the machine's clock.
type clock struct {
	now func() time.Time
	set func(time.Time) error // nil where the clock is not the machine's own
}

func systemClock() clock {
	c := clock{now: time.Now}
	if os.Getenv("container") == "" { // a container's clock is its host's
		c.set = setTime
	}
	return c
}

// advance sets a clock that is earlier than the issue of the bootstrap data forward to it. Where that is refused the join
// goes on: certificates are checked at the time of Clock.
func (c clock) advance(log *slog.Logger, b api.Bootstrap) {
	now := c.now()
	if !now.Before(b.Issued) {
		return
	}
	log = log.With("was", now.UTC(), "issued", b.Issued.UTC())
	if c.set == nil || !b.Overlay { // without a network of its own it is a process on somebody's host
		log.Warn("the clock is late and is not this machine's to set; certificates are checked at the issue time")
		return
	}
	if err := c.set(b.Issued); err != nil {
		log.Warn("the clock is late and cannot be set; certificates are checked at the issue time", "err", err)
		return
	}
	log.Warn("the clock was late and has been set forward")
}
