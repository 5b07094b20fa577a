package app

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"conpaas/client/daemon"
	"conpaas/director/store"
)

// Bounds of what refusals may write, so that nobody fills the disk by being refused. Within one window a source (a user, a node, an
// address) is written in full so often, all together so often, and so many sources are told apart; the rest is counted, in one
// entry per source and window. At most 364 entries a minute come of it.
const (
	auditWindow    = time.Minute
	wholePerSource = 20
	wholeOfAll     = 300
	mostSources    = 63
	mostWaiting    = 1000 // entries in memory while the database cannot be written
)

const (
	auditKeep  = 365 * 24 * time.Hour
	auditDelay = 200 * time.Millisecond // entries that come within it are written together
	pruneEvery = time.Hour
	prunedOnce = 1000 // entries that one transaction removes, since others wait for it
)

// auditor writes the entries that no transaction of their request has written, in the background.
type auditor struct {
	store *store.Store
	log   *slog.Logger
	news  chan struct{}

	mu      sync.Mutex
	waiting []store.AuditEntry
	tallies map[string]*tally
	whole   int       // entries of this window
	ends    time.Time // of this window
}

// tally is what one source has done in the present window.
type tally struct {
	whole   int
	counted store.AuditEntry // the last; Count 0: none
}

func newAuditor(s *store.Store, log *slog.Logger) *auditor {
	return &auditor{store: s, log: log, news: make(chan struct{}, 1), tallies: make(map[string]*tally)}
}

// add has an entry written soon. It does not block.
func (u *auditor) add(e store.AuditEntry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if !now.Before(u.ends) {
		u.close()
		u.ends = now.Add(auditWindow)
	}
	key := source(e)
	t, known := u.tallies[key]
	if !known {
		if len(u.tallies) >= mostSources {
			key, e = "", various(e)
			t = u.tallies[key]
		}
		if t == nil {
			t = &tally{}
			u.tallies[key] = t
		}
	}
	if t.whole < wholePerSource && u.whole < wholeOfAll && len(u.waiting) < mostWaiting {
		t.whole++
		u.whole++
		u.waiting = append(u.waiting, e)
	} else {
		count := t.counted.Count + 1
		t.counted = e
		t.counted.Count = count
	}
	select {
	case u.news <- struct{}{}:
	default:
	}
}

// close ends the window: what was only counted is to be written. mu is held.
func (u *auditor) close() {
	for _, t := range u.tallies {
		if t.counted.Count > 0 {
			t.counted.Detail = "counted, this is the last of them: " + t.counted.Detail
			u.waiting = append(u.waiting, t.counted)
		}
	}
	clear(u.tallies)
	u.whole = 0
}

// source tells who is to be counted together: a user, a node, or an address; an IPv6 address counts as its /64.
func source(e store.AuditEntry) string {
	if e.Who != anonymous {
		return e.Who
	}
	address, err := netip.ParseAddr(e.Address)
	if err != nil || address.Unmap().Is4() {
		return e.Address
	}
	prefix, _ := address.Prefix(64) // 64 bits an IPv6 address has
	return prefix.String()
}

const anonymous = "anonymous"

// various makes of an entry one for sources that are too many to be told apart.
func various(e store.AuditEntry) store.AuditEntry {
	return store.AuditEntry{Origin: store.Origin{Who: "various"}, Action: e.Action, Outcome: e.Outcome}
}

// run writes what comes, and removes entries that are older than keep, until ctx ends.
func (u *auditor) run(ctx context.Context, keep time.Duration) {
	prune := time.NewTimer(0)
	defer prune.Stop()
	window := time.NewTicker(auditWindow)
	defer window.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-prune.C:
			u.prune(ctx, keep)
			prune.Reset(pruneEvery)
			continue
		case <-window.C:
		case <-u.news:
			wait := time.NewTimer(auditDelay)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
				return
			}
		}
		u.flush(ctx, false)
	}
}

// flush writes what waits; last also what is being counted.
func (u *auditor) flush(ctx context.Context, last bool) {
	u.mu.Lock()
	if last || !u.ends.IsZero() && !time.Now().Before(u.ends) {
		u.close()
	}
	entries := u.waiting
	u.waiting = nil
	u.mu.Unlock()
	if len(entries) == 0 {
		return
	}
	err := u.store.Update(ctx, "audit.refusals", func(tx *store.Tx) error {
		for _, e := range entries {
			if err := tx.AddAudit(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	u.log.Warn("refusals are not in the audit log yet", "entries", len(entries), daemon.KeyError, err)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waiting = append(entries, u.waiting...)
	u.waiting = u.waiting[:min(len(u.waiting), mostWaiting)]
}

// prune removes old entries, some at a time.
func (u *auditor) prune(ctx context.Context, keep time.Duration) {
	for removed := prunedOnce; removed == prunedOnce; {
		err := u.store.Update(ctx, "audit.pruned", func(tx *store.Tx) (err error) {
			removed, err = tx.PruneAudit(tx.Now().Add(-keep), prunedOnce)
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				u.log.Warn("old entries of the audit log are left", daemon.KeyError, err)
			}
			return
		}
	}
}
