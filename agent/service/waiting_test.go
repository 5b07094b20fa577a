package service

import (
	"errors"
	"fmt"
	"testing"
)

func TestWaits(t *testing.T) {
	blob, check, failure := &Waiting{For: "a blob"}, &Waiting{For: "a check", Busy: true}, errors.New("no such program")
	for _, c := range []struct {
		err         error
		waits, busy bool
	}{
		{nil, false, false},
		{failure, false, false},
		{blob, true, false},
		{fmt.Errorf("code version x: %w", check), true, true},
		{errors.Join(blob, fmt.Errorf("code version x: %w", check)), true, true},
		{errors.Join(check, failure), false, false},
		{errors.Join(errors.Join(blob), fmt.Errorf("x: %w", failure)), false, false},
	} {
		if waits, busy := Waits(c.err); waits != c.waits || busy != c.busy {
			t.Errorf("Waits(%v) = %t, %t; want %t, %t", c.err, waits, busy, c.waits, c.busy)
		}
	}
}
