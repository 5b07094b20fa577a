package join

import (
	"time"

	"golang.org/x/sys/unix"
)

// setTime sets the clock of the machine.
func setTime(t time.Time) error {
	tv := unix.NsecToTimeval(t.UnixNano())
	return unix.Settimeofday(&tv)
}
