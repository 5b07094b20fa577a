package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"conpaas/client/api"
)

// together bounds the transactions of one commit, so that nobody waits for long.
const together = 64

// pending is a transaction that waits for its turn.
type pending struct {
	ctx    context.Context
	name   string
	fn     func(tx *Tx) error
	events []Event
	err    error
	fault  any           // with which fn panicked
	done   chan struct{} // closed when the rest says how it went
}

// commit writes what waits, until u is done: a commit waits for the disk, so that everything that came meanwhile shares the
// next one. The caller has the turn.
func (s *Store) commit(u *pending) {
	for {
		select {
		case <-u.done:
			return
		default:
		}
		s.writeAll(s.take())
	}
}

// take gives the updates of the next commit.
func (s *Store) take() []*pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.waiting), together)
	batch := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	return batch
}

// withdraw takes an update back that nobody has begun.
func (s *Store) withdraw(u *pending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.waiting {
		if w == u {
			s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// writeAll writes a batch in one transaction of the database. Each update is all or nothing for itself: one that fails leaves
// nothing behind and harms no other. When the disk fails, they all do.
func (s *Store) writeAll(batch []*pending) {
	err := s.write.Transaction(func(db *gorm.DB) error {
		for _, u := range batch {
			if err := s.within(db, u); err != nil {
				return err
			}
		}
		return nil
	})
	for _, u := range batch {
		switch {
		case err != nil && u.err == nil:
			u.err = diskError(u.name, err)
		case u.err == nil && u.fault == nil:
			trailOf(u.ctx).wrote()
			u.err = s.failpoint(u.name + "/after")
			if s.opts.Published != nil && len(u.events) > 0 {
				s.opts.Published(u.events)
			}
		}
		close(u.done)
	}
}

// within runs one update of a batch. Its error is one that ends the whole batch; that of the update itself is in u.
func (s *Store) within(db *gorm.DB, u *pending) error {
	if err := db.Exec("SAVEPOINT one").Error; err != nil {
		return err
	}
	if u.err = s.run(db, u); u.err == nil && u.fault == nil {
		return db.Exec("RELEASE one").Error
	}
	if diskErrorKind(u.err) != nil { // SQLite may have taken back everything
		cause := u.err
		u.err = diskError(u.name, cause)
		return cause
	}
	return errors.Join(db.Exec("ROLLBACK TO one").Error, db.Exec("RELEASE one").Error)
}

func (s *Store) run(db *gorm.DB, u *pending) (err error) {
	defer func() { u.fault = recover() }()
	// A statement that is cut short would take the whole batch with it.
	ctx := context.WithoutCancel(u.ctx)
	tx := &Tx{Read: s.reader(ctx, db.WithContext(ctx)), owners: map[api.ApplicationID]api.UserID{}}
	if err := errors.Join(u.fn(tx), u.ctx.Err()); err != nil {
		return err
	}
	if err := tx.note(); err != nil {
		return err
	}
	u.events = tx.events
	return s.failpoint(u.name + "/before")
}
