package mtls

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"conpaas/certs"
)

const (
	recheck     = time.Hour       // the longest wait before the clock is looked at again: a timer does not notice that it was set
	earlySpread = 2 * time.Minute // the longest random wait before a renewal that all nodes are asked for at once
)

// Renewal keeps a store's certificate fresh: Run renews it after two thirds of its life, early where Want or Soon ask for
// it, and tries again after trouble, also when it has expired.
type Renewal struct {
	store *Store
	log   *slog.Logger
	now   func() time.Time
	renew func(ctx context.Context, csrPEM []byte) (certPEM, caPEM []byte, err error)
	early chan struct{} // there is something new in what follows

	mu     sync.Mutex
	wanted string // by Want
	soon   bool   // asked for by Soon
}

// NewRenewal makes a renewal of the store's certificate. renew is called with a request for a new key; now is the clock of
// this machine as far as it can be believed.
func NewRenewal(s *Store, log *slog.Logger, now func() time.Time, renew func(ctx context.Context, csrPEM []byte) (certPEM, caPEM []byte, err error)) *Renewal {
	return &Renewal{store: s, log: log, now: now, renew: renew, early: make(chan struct{}, 1)}
}

// Want asks for a renewal while Trust is another than this name; "" asks for none. It comes after a random pause, since
// other nodes are asked at the same time. A wish that a renewal does not fulfil, because it is older than what the
// director has answered, is tried again at growing pauses.
func (r *Renewal) Want(trust string) {
	r.mu.Lock()
	r.wanted = trust
	r.mu.Unlock()
	if r.unfulfilled() {
		r.wake()
	}
}

// Soon asks for a renewal now: the certificate was refused, whatever this machine's clock says.
func (r *Renewal) Soon() {
	r.setUrgent(true)
	r.wake()
}

// Trust names what the store has now, as certs.TrustName does.
func (r *Renewal) Trust() string { return r.store.Trust() }

// Trusts tells whether one of the CA certificates of the store has signed c, whatever the time.
func (r *Renewal) Trusts(c *x509.Certificate) bool { return r.store.Trusts(c) }

func (r *Renewal) wake() {
	select {
	case r.early <- struct{}{}:
	default: // it has been told already
	}
}

func (r *Renewal) unfulfilled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wanted != "" && r.wanted != r.store.Trust()
}

func (r *Renewal) setUrgent(urgent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.soon = urgent
}

func (r *Renewal) isUrgent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.soon
}

// Run renews until ctx ends. Call it after the store's first Save.
func (r *Renewal) Run(ctx context.Context) {
	// An answer that is nearly over, or is refused too, or is not what is wanted, must not make this loop run hot.
	var soonest time.Time
	idle := time.Duration(0)
	for {
		leaf, since := r.store.held()
		if leaf == nil {
			r.log.Error("no certificate to renew: this node has not joined")
			return
		}
		// Its life is counted from when it came: NotBefore lies in the past, for machines with late clocks.
		if now := r.now(); since.Before(leaf.NotBefore) || since.After(now) { // the clock was wrong then
			since = now
		}
		life := max(leaf.NotAfter.Sub(since), time.Second)
		least := min(max(life/1000, time.Second), time.Minute)
		if !r.wait(ctx, since.Add(life*2/3+jitter(life/15)), min(life/100, earlySpread), soonest) {
			return
		}
		refused := r.isUrgent()
		if !r.persist(ctx, leaf.NotAfter, least, min(max(life/100, time.Second), recheck)) {
			return
		}
		r.setUrgent(false)
		if idle = min(max(2*idle, least), recheck); !refused && !r.unfulfilled() {
			idle = least
		}
		soonest = time.Now().Add(idle)
		leaf, _ = r.store.held()
		r.log.Info("certificate renewed", "serial", certs.Serial(leaf), "ends", leaf.NotAfter)
	}
}

// wait returns when it is time for a renewal: at due by the clock, or within spread after it is wanted, but not before
// soonest. It is false when ctx has ended.
func (r *Renewal) wait(ctx context.Context, due time.Time, spread time.Duration, soonest time.Time) bool {
	var asked time.Time
	for {
		left := due.Round(0).Sub(r.now().Round(0)) // Round(0) drops the monotonic reading
		switch {
		case !r.unfulfilled():
			asked = time.Time{}
		case asked.IsZero():
			asked = time.Now().Add(jitter(spread))
		}
		if !asked.IsZero() {
			left = min(left, time.Until(asked))
		}
		if r.isUrgent() {
			left = 0
		}
		if left = max(left, time.Until(soonest)); left <= 0 {
			return ctx.Err() == nil
		}
		if !r.sleep(ctx, min(left, recheck)) {
			return false
		}
	}
}

// persist renews, again with pauses that grow up to longest until that works; it is false when ctx has ended.
func (r *Renewal) persist(ctx context.Context, ends time.Time, pause, longest time.Duration) bool {
	for {
		r.setUrgent(false)
		err := r.once(ctx)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		r.log.Warn("the certificate was not renewed, trying again", "err", err, "ends", ends, "pause", pause)
		for until := time.Now().Add(pause/2 + jitter(pause)); time.Until(until) > 0 && !r.isUrgent(); {
			if !r.sleep(ctx, time.Until(until)) {
				return false
			}
		}
		pause = min(pause*2, longest)
	}
}

func (r *Renewal) once(ctx context.Context) error {
	key, err := r.store.NextKey()
	if err != nil {
		return err
	}
	csr, err := certs.CSR(key)
	if err != nil {
		return err
	}
	cert, ca, err := r.renew(ctx, csr)
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	return r.store.Save(cert, ca)
}

// sleep waits for so long or until there is something new; it is false when ctx has ended.
func (r *Renewal) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-r.early:
	case <-timer.C:
	}
	return true
}

// jitter gives a random duration below d.
func jitter(d time.Duration) time.Duration { return time.Duration(rand.Int64N(max(int64(d), 1))) }
