package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"conpaas/client/api"
)

// Read reads one consistent state of the database. It is valid only inside the function that got it.
type Read struct {
	db    *gorm.DB
	box   *box
	now   time.Time // that of time
	time  reading
	trail *Trail // of the request that it is for; nil: none
}

// Tx reads and writes in one transaction. It is valid only inside the function that got it.
type Tx struct {
	Read
	events []Event
	owners map[api.ApplicationID]api.UserID // asked for by AddEvent

	changes []Change // for the entry in the audit log
}

// Now is the time of the transaction, in UTC; everything that it writes carries this time.
func (r *Read) Now() time.Time { return r.now }

// Update runs fn in a write transaction: all that it writes is on disk when Update returns nil, and nothing of it when
// fn, ctx or the commit fails. Writers take turns, and those that wait at the same time share a commit: fn may run in the goroutine of
// another. name says what is done, for example "node.launched"; it names the failpoints and stands in errors of the disk (ErrFull,
// ErrReadOnly, ErrBusy, ErrDamaged). Where ctx is that of a request that changes things, the same transaction writes its entry in
// the audit log.
func (s *Store) Update(ctx context.Context, name string, fn func(tx *Tx) error) error {
	u := &pending{ctx: ctx, name: name, fn: fn, done: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, u)
	s.mu.Unlock()
	var refused error
	select {
	case s.turn <- struct{}{}:
		s.commit(u)
		<-s.turn
	case <-u.done:
	case <-s.closed:
		refused = ErrClosed
	case <-ctx.Done():
		refused = ctx.Err()
	}
	if refused != nil && s.withdraw(u) {
		return fmt.Errorf("store %s: %w", name, refused)
	}
	<-u.done
	if u.fault != nil {
		panic(u.fault)
	}
	return u.err
}

// View runs fn on one consistent state of the database. It does not wait for writers.
func (s *Store) View(ctx context.Context, fn func(r *Read) error) error {
	select {
	case <-s.closed:
		return fmt.Errorf("store read: %w", ErrClosed)
	default:
	}
	err := s.read.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		r := s.reader(ctx, db)
		return fn(&r)
	})
	return diskError("read", err)
}

func (s *Store) reader(ctx context.Context, db *gorm.DB) Read {
	at := reading{wall: s.opts.Now().UTC().Truncate(time.Microsecond)}
	at.boot, at.uptime = s.opts.Uptime()
	return Read{db: db, box: s.box, now: at.wall, time: at, trail: trailOf(ctx)}
}

func (s *Store) failpoint(name string) error {
	if s.opts.Failpoint == nil {
		return nil
	}
	s.mu.Lock()
	s.failpoints[name] = true
	s.mu.Unlock()
	return s.opts.Failpoint(name)
}

// Failpoints gives the names of all failpoints passed so far, sorted. It is empty without Options.Failpoint.
func (s *Store) Failpoints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.failpoints))
}

// Page says which part of a list is wanted: at most Limit things (default 100, at most 1000) after the one with number After.
type Page struct {
	After int64
	Limit int
}

const (
	defaultPage = 100
	largestPage = 1000
)

// Most is how many things are on the page.
func (p Page) Most() int {
	if p.Limit <= 0 {
		return defaultPage
	}
	return min(p.Limit, largestPage)
}

// list reads one page of rows, ordered by the column key, and gives the number after which the next page begins, 0 on
// the last page.
func list[R any](db *gorm.DB, key string, p Page, number func(R) int64) (rows []R, next int64, err error) {
	limit := p.Most()
	err = db.Where(key+" > ?", p.After).Order(key).Limit(limit + 1).Find(&rows).Error
	if err != nil {
		return nil, 0, fmt.Errorf("read a page: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = number(rows[limit-1])
	}
	return rows, next, nil
}
