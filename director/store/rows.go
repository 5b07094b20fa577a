package store

import (
	"fmt"
	"net/netip"
	"time"

	"gorm.io/gorm"
)

// convert turns rows into domain values; it gives an empty slice, not nil, for none.
func convert[R, D any](rows []R, to func(R) D) []D {
	out := make([]D, len(rows))
	for i, r := range rows {
		out[i] = to(r)
	}
	return out
}

// one gives ErrNotFound when a statement that should have changed one row has changed none.
func one(result *gorm.DB, what string, args ...any) error {
	if result.Error == nil && result.RowsAffected == 0 {
		return fmt.Errorf(what+": %w", append(args, ErrNotFound)...)
	}
	return rowError(result.Error, what, args...)
}

// utc is the time that t points to, or the zero time.
func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// stamp is the opposite of utc: the zero time is NULL.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// address reads what formatAddress has written; "" is the invalid address.
func address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

func formatAddress(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
