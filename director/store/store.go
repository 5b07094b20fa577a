package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Options change how a Store is opened. The zero value is right for a test.
type Options struct {
	Deployment  string           // name of the installation; "" keeps the present one, at first "conpaas"
	File        string           // the database; default director.db in the directory
	BusyTimeout time.Duration    // how long to wait for another program's lock on the database; default 5 s
	Now         func() time.Time // default time.Now
	// Uptime tells which start of the host this is and how long it was ago: time that no setting of a clock changes. "" where there
	// is only Now to ask. Default: the host's where Now is the default, else none.
	Uptime    func() (boot string, uptime time.Duration)
	Log       *slog.Logger         // default: nothing is logged
	Published func(events []Event) // gets the events of each transaction after its commit, in order; must not block nor use the Store
	// Failpoint is called as "<transaction>/before" just before a commit, which its error prevents, and as
	// "<transaction>/after" just after, when its error is what the caller of Update gets. For tests.
	Failpoint func(name string) error
}

// Store is the opened database. It may be used by any number of goroutines.
type Store struct {
	dir        string
	opts       Options
	lock       *os.File
	box        *box
	read       *gorm.DB
	write      *gorm.DB
	entered    Installation  // as it was after Open
	turn       chan struct{} // held by the one writer, so that events are published in the order of the commits
	closed     chan struct{}
	closeOnce  sync.Once
	closeError error

	mu         sync.Mutex
	waiting    []*pending // for the writer whose turn is next
	failpoints map[string]bool
}

const readers = 4

// Open opens the data directory dir, which it makes (mode 0700) if it is missing, brings the schema up to date and raises the
// fence. It fails with ErrInUse while another director has it open, and with ErrKeyFile when secret.key does not
// belong to the database.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if o.Uptime == nil && o.Now == nil {
		o.Uptime = hostUptime
	}
	if o.Uptime == nil {
		o.Uptime = func() (string, time.Duration) { return "", 0 }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 5 * time.Second
	}
	if o.File == "" {
		o.File = filepath.Join(dir, "director.db")
	}
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, opts: o, lock: lock, turn: make(chan struct{}, 1), closed: make(chan struct{}), failpoints: map[string]bool{}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(diskError("open", fmt.Errorf("open the database %s: %w", o.File, err)), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	exists, err := fileExists(s.opts.File)
	if err != nil {
		return err
	}
	if s.box, err = openBox(filepath.Join(s.dir, "secret.key"), !exists); err != nil {
		return err
	}
	if !exists {
		if err := makeFile(s.opts.File); err != nil {
			return err
		}
	}
	if err := migrate(ctx, s.opts.Log, s.opts.File, s.opts.BusyTimeout, migrations); err != nil {
		return err
	}
	if s.write, err = connect(ctx, dsn(s.opts.File, s.opts.BusyTimeout, "_txlock=immediate&_foreign_keys=on"), 1); err != nil {
		return err
	}
	if s.read, err = connect(ctx, dsn(s.opts.File, s.opts.BusyTimeout, "_txlock=deferred&_foreign_keys=on&_query_only=true"), readers); err != nil {
		return err
	}
	if err := s.Update(ctx, "open", s.enter); err != nil {
		return err
	}
	s.opts.Log.Info("the database is open", "file", s.opts.File, "installation", s.entered.ID, "fence", s.entered.Fence)
	return nil
}

// dsn names the database with the settings that every connection has. FULL makes each commit survive a power loss.
func dsn(file string, busy time.Duration, more string) string {
	return fmt.Sprintf("file:%s?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=%d&%s",
		escaped(file), busy.Milliseconds(), more)
}

func escaped(file string) string { return (&url.URL{Path: file}).EscapedPath() }

// connect opens a handle. Statements are not kept prepared: the cache that gorm has for them leaves a goroutine behind that
// cannot be ended.
func connect(ctx context.Context, dsn string, connections int) (*gorm.DB, error) {
	db, err := gorm.Open(sqlite.Open(dsn), &gorm.Config{
		SkipDefaultTransaction: true, TranslateError: true, Logger: logger.Discard,
		NowFunc: func() time.Time { return time.Now().UTC() },
	})
	if err != nil {
		if db != nil {
			err = errors.Join(err, disconnect(db))
		}
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return db, pool.PingContext(ctx)
}

func disconnect(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// Close ends the Store after the write transaction under way; it may be called again.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.turn <- struct{}{} // for ever: nobody writes any more
		var errs []error
		for _, db := range []*gorm.DB{s.read, s.write} {
			if db != nil {
				errs = append(errs, disconnect(db))
			}
		}
		s.closeError = errors.Join(append(errs, s.lock.Close())...)
	})
	return s.closeError
}

// Check looks for damage: every page, index and reference of the database. It may take seconds.
func (s *Store) Check(ctx context.Context) error {
	db := s.read.WithContext(ctx)
	if err := checkPages(db, "integrity_check"); err != nil {
		return diskError("check", err)
	}
	return diskError("check", errors.Join(checkForeignKeys(db), checkCredits(db)))
}

// checkPages runs a PRAGMA that says "ok" or what is damaged.
func checkPages(db *gorm.DB, pragma string) error {
	var findings []string
	if err := db.Raw("PRAGMA " + pragma).Scan(&findings).Error; err != nil {
		return err
	}
	if len(findings) != 1 || findings[0] != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, findings)
	}
	return nil
}

func checkForeignKeys(db *gorm.DB) error {
	var broken []struct {
		Table  string
		Rowid  sql.NullInt64
		Parent string
	}
	if err := db.Raw("PRAGMA foreign_key_check").Scan(&broken).Error; err != nil {
		return err
	}
	if len(broken) > 0 {
		return fmt.Errorf("%w: %d rows refer to nothing, the first is row %d of %s that names a row of %s",
			ErrDamaged, len(broken), broken[0].Rowid.Int64, broken[0].Table, broken[0].Parent)
	}
	return nil
}

// makeFile makes an empty file that only its owner can read; SQLite gives its side files the same mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func fileExists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
