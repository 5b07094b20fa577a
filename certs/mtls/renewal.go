package mtls

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"conpaas/certs"
)

// recheck is the longest that the renewal waits before it looks at the wall clock again: a timer does not notice that
// the clock was set or the machine was suspended.
const recheck = time.Hour

// RunRenewal keeps the store's certificate fresh until ctx ends: after two thirds of its life, and a random part of it so
// that nodes which were made together do not come together, it calls renew with a request for a new key and saves the
// answer. Trouble is logged and tried again with growing pauses, also after the certificate has expired. Call it after
// the first Save.
func RunRenewal(ctx context.Context, s *Store, log *slog.Logger, renew func(ctx context.Context, csrPEM []byte) (certPEM, caPEM []byte, err error)) {
	var soonest time.Time // an answer that is nearly over, as from a CA at its own end, must not make this loop run hot
	for {
		leaf := s.Leaf()
		if leaf == nil {
			log.Error("no certificate to renew: this node has not joined")
			return
		}
		life := leaf.NotAfter.Sub(leaf.NotBefore)
		pause := min(max(life/1000, time.Second), time.Minute)
		due := leaf.NotBefore.Add(life*2/3 + jitter(life/15))
		if due.Before(soonest) {
			due = soonest
		}
		if !waitUntil(ctx, due) {
			return
		}
		for {
			err := renewOnce(ctx, s, renew)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				break
			}
			log.Warn("the certificate was not renewed, trying again", "err", err, "ends", leaf.NotAfter, "pause", pause)
			if !waitUntil(ctx, time.Now().Add(pause/2+jitter(pause))) {
				return
			}
			pause = min(pause*2, max(life/100, time.Second), time.Hour)
		}
		soonest = time.Now().Add(pause)
		log.Info("certificate renewed", "serial", certs.Serial(s.Leaf()), "ends", s.Leaf().NotAfter)
	}
}

func renewOnce(ctx context.Context, s *Store, renew func(context.Context, []byte) ([]byte, []byte, error)) error {
	key, err := s.NextKey()
	if err != nil {
		return err
	}
	csr, err := certs.CSR(key)
	if err != nil {
		return err
	}
	cert, ca, err := renew(ctx, csr)
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	return s.Save(cert, ca)
}

// waitUntil waits for a wall-clock time; it is false when ctx has ended.
func waitUntil(ctx context.Context, t time.Time) bool {
	for {
		left := t.Round(0).Sub(time.Now().Round(0)) // Round(0) drops the monotonic reading
		if left <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(min(left, recheck))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// jitter gives a random duration below d.
func jitter(d time.Duration) time.Duration { return time.Duration(rand.Int64N(max(int64(d), 1))) }
