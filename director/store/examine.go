package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"gorm.io/gorm"
)

// Examination is what a look at a data directory from outside has found.
type Examination struct {
	Director     int          // process id of the director that has it open; 0: none has
	Exists       bool         // there is a database; what follows is zero where there is none
	Installation Installation // its Fence is that of the newest start
	Newest       time.Time    // the latest time in the database: of an event or a certificate
	Authorities  [][]byte     // certificates of the CAs in use, PEM, the newest first
	Behind       bool         // the next start changes the schema
	Damage       error        // what is wrong with the database: ErrDamaged, ErrReadOnly, ErrBusy, or of a newer version
	Key          error        // what is wrong with the key file: ErrKeyFile
}

// Examine looks at a data directory and its database (default director.db in it), whether a director has them open or
// not. It changes nothing and raises no fence.
func Examine(ctx context.Context, dir, file string) Examination {
	if file == "" {
		file = filepath.Join(dir, "director.db")
	}
	e := Examination{Director: holder(dir)}
	if e.Exists, e.Damage = fileExists(file); !e.Exists || e.Damage != nil {
		return e
	}
	var box *box
	box, e.Key = openBox(filepath.Join(dir, "secret.key"), false)
	db, err := connect(ctx, dsnReadOnly(file), 1)
	if err == nil {
		err = errors.Join(e.read(db.WithContext(ctx), box), disconnect(db))
	}
	e.Damage = diskError("examine", err)
	return e
}

// dsnReadOnly names the database with no setting that would write to it.
func dsnReadOnly(file string) string {
	const patience = 5 * time.Second
	return fmt.Sprintf("file:%s?mode=ro&_busy_timeout=%d&_query_only=true", escaped(file), patience.Milliseconds())
}

func (e *Examination) read(db *gorm.DB, box *box) error {
	if err := checkPages(db, "quick_check"); err != nil {
		return err
	}
	applied, err := appliedSteps(db)
	if err != nil {
		return err
	}
	if err := checkNewer(applied, migrations); err != nil {
		return err
	}
	if e.Behind = !slices.Contains(applied, migrations[len(migrations)-1].id); e.Behind {
		return nil // its tables may be others than those that this version knows
	}
	if err := errors.Join(checkForeignKeys(db), checkCredits(db)); err != nil {
		return err
	}
	var row installationRow
	if err := db.First(&row, 1).Error; err != nil {
		return rowError(err, "installation")
	}
	e.Installation = Installation{ID: row.DeploymentID, Name: row.Name, Fence: row.Fence, Created: row.Created.UTC()}
	if box != nil {
		_, e.Key = box.open(keyCheckName, row.KeyCheck)
	}
	var events []eventRow
	if err := db.Order("id DESC").Limit(1).Find(&events).Error; err != nil {
		return err
	}
	for _, v := range events {
		e.Newest = v.Time.UTC()
	}
	var certificates []certificateRow
	if err := db.Order("created DESC").Limit(1).Find(&certificates).Error; err != nil {
		return err
	}
	for _, c := range certificates {
		if c.Created.After(e.Newest) {
			e.Newest = c.Created.UTC()
		}
	}
	return db.Model(&authorityRow{}).Where("kind = ? AND retired IS NULL", string(AuthorityCA)).Order("id DESC").
		Pluck("certificate", &e.Authorities).Error
}

// holder gives the process that has the directory open, -1 where it has not written who it is, 0 where there is none.
func holder(dir string) int {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return 0
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return 0 // closing gives the lock back
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return -1
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return -1
	}
	return pid
}

// VerifyAudit is Read.VerifyAudit for a data directory and its database, whether a director has them open or not. It changes
// nothing.
func VerifyAudit(ctx context.Context, dir, file string) (end AuditEnd, err error) {
	box, err := openBox(filepath.Join(dir, "secret.key"), false)
	if err != nil {
		return end, err
	}
	db, err := connect(ctx, dsnReadOnly(file), 1)
	if err != nil {
		return end, diskError("verify the audit log", err)
	}
	defer func() { err = errors.Join(err, disconnect(db)) }()
	if !db.Migrator().HasTable(&auditRow{}) {
		return end, errors.New("the database is of a version without an audit log; start this version's director once")
	}
	err = db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		end, err = (&Read{db: db, box: box}).VerifyAudit()
		return err
	})
	return end, diskError("verify the audit log", err)
}
