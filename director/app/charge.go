package app

import (
	"context"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/store"
)

// mostCharges bounds the hours that one transaction charges.
const mostCharges = 500

// charging charges hours again and again. Each time it sees what is due since whenever that was, so that it does not matter when it
// last ran.
func (d *Director) charging(ctx context.Context) {
	tick := time.NewTicker(d.config.Timing.Charge)
	defer tick.Stop()
	for {
		if err := d.Charge(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("the credit could not be charged; it will be", daemon.KeyError, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Charge charges all hours that have begun, stops the applications of those who cannot pay, and warns those whose credit ends soon.
// Run does that again and again.
func (d *Director) Charge(ctx context.Context) error {
	for more := true; more; {
		var stopped []api.ApplicationID
		err := d.store.Update(ctx, "credit.charged", func(tx *store.Tx) (err error) {
			if stopped, more, err = tx.Charge(mostCharges); err != nil || more {
				return err
			}
			return tx.WarnLow()
		})
		if err != nil {
			return err
		}
		for _, id := range stopped {
			d.wake(id)
		}
	}
	return nil
}
