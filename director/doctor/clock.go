package doctor

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/director/store"
)

// skew is how far a clock may be off before certificates and credit suffer.
const skew = 2 * time.Second

// kernelClock asks the kernel whether something keeps its clock right, and within what bounds.
func kernelClock() (synchronised bool, apart time.Duration, err error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, 0, fmt.Errorf("adjtimex: %w", err)
	}
	const timeError = 5 // TIME_ERROR of <sys/timex.h>
	return state != timeError && t.Status&unix.STA_UNSYNC == 0, time.Duration(t.Maxerror) * time.Microsecond, nil
}

// timekeeping compares the clock with what the director has written, and asks who keeps it right.
func (m machine) timekeeping(e store.Examination) []Finding {
	now := m.now().UTC()
	f := Finding{Check: "clock", State: OK, Detail: now.Format(time.RFC3339)}
	fence := time.Unix(int64(min(e.Installation.Fence, 1<<40)), 0).UTC() // at least the time of the newest start
	switch {
	case e.Newest.Sub(now) > skew:
		f.State = Error
		f.Detail = fmt.Sprintf("it is %s behind the newest entry of the database, of %s", e.Newest.Sub(now).Round(time.Second), e.Newest.Format(time.RFC3339))
		f.Remedy = "set the clock right (timedatectl, chronyc makestep); where the entry is from a time when the clock was ahead, only waiting helps"
	case fence.Sub(now) > time.Hour:
		f.State = Warning
		f.Detail = fmt.Sprintf("it is %s behind what it was at a start of the director", fence.Sub(now).Round(time.Second))
		f.Remedy = "set the clock right if it is not; the director works, for each start still raises its fence"
	case !e.Newest.IsZero():
		f.Detail += ", after the newest entry of the database"
	}
	sync := Finding{Check: "clock synchronisation", State: OK}
	synchronised, apart, err := m.clock()
	switch {
	case err != nil:
		sync.State, sync.Detail, sync.Remedy = Warning, err.Error(), "see that the clock is kept right by NTP"
	case !synchronised:
		sync.State, sync.Detail = Warning, "the kernel says that nothing keeps the clock right"
		sync.Remedy = "install chrony or enable systemd-timesyncd; in a container see to its host"
	default:
		sync.Detail = fmt.Sprintf("the kernel's clock is kept right within %s", apart.Round(time.Millisecond))
	}
	return []Finding{f, sync}
}
