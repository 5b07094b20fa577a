package command

import (
	"net/netip"
	"strconv"
	"time"
)

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func endpoint(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// size gives bytes in a form for people.
func size(n int64) string {
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
