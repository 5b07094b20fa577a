package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema. It never changes once it has been released; a correction is another migration.
type migration struct {
	id  string
	sql string
}

// migrations has every step in the order in which they are applied.
var migrations = []migration{
	{"0001_initial", mustMigration("0001_initial")},
	{"0002_code", mustMigration("0002_code")},
	{"0003_trust", mustMigration("0003_trust")},
	{"0004_users", mustMigration("0004_users")},
	{"0005_credit", mustMigration("0005_credit")},
	{"0006_access", mustMigration("0006_access")},
	{"0007_totp", mustMigration("0007_totp")},
	{"0008_images", mustMigration("0008_images")},
	{"0009_volumes", mustMigration("0009_volumes")},
	{"0010_environment", mustMigration("0010_environment")},
}

func mustMigration(id string) string {
	text, err := migrationFiles.ReadFile("migrations/" + id + ".sql")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// migrate brings the schema of the database up to date, through a connection of its own on which foreign keys are off
// (else SQLite deletes the children of a table that a migration rebuilds). All pending steps are one transaction,
// which is undone when a reference is broken at its end. An existing database is copied to FILE.before-ID first.
func migrate(ctx context.Context, log *slog.Logger, file string, busy time.Duration, steps []migration) (err error) {
	db, err := connect(ctx, dsn(file, busy, "_txlock=immediate&_foreign_keys=off"), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disconnect(db)) }()
	db = db.WithContext(ctx)

	applied, err := appliedSteps(db)
	if err == nil {
		err = checkNewer(applied, steps)
	}
	if err != nil {
		return err
	}
	pending := slices.DeleteFunc(slices.Clone(steps), func(m migration) bool { return slices.Contains(applied, m.id) })
	if len(pending) == 0 {
		return nil
	}
	log.Info("the database's schema is brought up to date", "file", file, "to", pending[len(pending)-1].id)
	if len(applied) > 0 {
		if err := copyDatabase(db, file+".before-"+pending[0].id); err != nil {
			return err
		}
	}
	return gormigrate.New(db, &gormigrate.Options{
		TableName: "migrations", IDColumnName: "id", IDColumnSize: 255, UseTransaction: true, ValidateUnknownMigrations: true,
	}, gormigrations(steps)).Migrate()
}

// appliedSteps gives the ids of the steps that a database has had.
func appliedSteps(db *gorm.DB) (applied []string, err error) {
	if db.Migrator().HasTable("migrations") {
		err = db.Table("migrations").Order("id").Pluck("id", &applied).Error
	}
	return applied, err
}

// checkNewer refuses a database that has had steps which this version does not know.
func checkNewer(applied []string, known []migration) error {
	for _, id := range applied {
		if !slices.ContainsFunc(known, func(m migration) bool { return m.id == id }) {
			return fmt.Errorf("it was written by a newer version (it has step %s of the schema); install that version, or restore the backup FILE.before-%s", id, id)
		}
	}
	return nil
}

func gormigrations(steps []migration) []*gormigrate.Migration {
	out := make([]*gormigrate.Migration, len(steps))
	for i, m := range steps {
		out[i] = &gormigrate.Migration{ID: m.id, Migrate: func(tx *gorm.DB) error {
			if err := tx.Exec(m.sql).Error; err != nil {
				return fmt.Errorf("step %s of the schema: %w", m.id, err)
			}
			if err := checkForeignKeys(tx); err != nil {
				return fmt.Errorf("step %s of the schema: %w", m.id, err)
			}
			return nil
		}}
	}
	return out
}

// copyDatabase writes a consistent copy, in place of one that an earlier attempt has left.
func copyDatabase(db *gorm.DB, to string) error {
	unfinished := to + ".unfinished"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := makeFile(unfinished); err != nil {
		return err
	}
	if err := db.Exec("VACUUM INTO ?", unfinished).Error; err != nil {
		return fmt.Errorf("copy the database before its schema changes: %w", err)
	}
	return os.Rename(unfinished, to)
}
