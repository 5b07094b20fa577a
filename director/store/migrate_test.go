package store

import (
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm"

	"conpaas/client/api"
)

var rewrite = flag.Bool("update", false, "write schema.sql anew")

// schema gives the text of every table, index and trigger, as SQLite keeps it.
func schema(db *gorm.DB) (string, error) {
	var parts []string
	err := db.Raw("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY tbl_name, type DESC, name").Scan(&parts).Error
	return strings.Join(parts, ";\n\n") + ";\n", err
}

func TestSchemaIsTheCheckedInOne(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	got, err := schema(s.read)
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile("schema.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("schema.sql differs from what the migrations make; look at it, then go test ./director/store -update (-want +got):\n%s", d)
	}
}

// Every table of the models has exactly the columns of the schema, so that Save and Find lose nothing.
func TestModelsMatchTheSchema(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	for _, model := range []interface{ TableName() string }{
		installationRow{},
		userRow{},
		tokenRow{},
		secretRow{},
		authorityRow{},
		certificateRow{},
		applicationRow{},
		serviceRow{},
		nodeRow{},
		operationRow{},
		eventRow{},
		codeVersionRow{},
		serviceSecretRow{},
		recoveryRow{},
		creditRow{},
		creditEntryRow{},
		meterRow{},
		clockRow{},
		imageRow{},
		variableRow{},
		linkRow{},
		scriptRow{},
		volumeRow{},
	} {
		stmt := s.read.Model(model)
		if err := stmt.Statement.Parse(model); err != nil {
			t.Fatal(err)
		}
		var columns []string
		if err := s.read.Raw("SELECT name FROM pragma_table_info(?) ORDER BY cid", model.TableName()).Scan(&columns).Error; err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(columns, stmt.Statement.Schema.DBNames); d != "" {
			t.Errorf("%s (-schema +model):\n%s", model.TableName(), d)
		}
	}
}

// withRows makes a database of the present schema that has a row in every table that others refer to.
func withRows(t *testing.T) (file string) {
	t.Helper()
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	_, service := running(t, s, "app")
	ready(t, s, reserve(t, s, service, 2)[0].ID)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "director.db")
}

func count(t *testing.T, file, table string) (n int) {
	t.Helper()
	db, err := connect(t.Context(), dsn(file, time.Second, ""), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer disconnect(db)
	if err := db.Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// Rebuilding a table that others refer to must not take their rows along: with foreign keys on, SQLite would do that silently.
func TestMigrationKeepsRows(t *testing.T) {
	file := withRows(t)
	steps := append(migrations[:len(migrations):len(migrations)], migration{"9999_rebuild", `
		CREATE TABLE new_users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, password TEXT NOT NULL,
			disabled BOOLEAN NOT NULL, created DATETIME NOT NULL, email TEXT NOT NULL, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
			affiliation TEXT NOT NULL, totp_sealed BLOB, totp_since DATETIME, totp_step INTEGER NOT NULL, deleting DATETIME);
		INSERT INTO new_users SELECT * FROM users;
		DROP TABLE users;
		ALTER TABLE new_users RENAME TO users;
		ALTER TABLE nodes ADD COLUMN zone TEXT NOT NULL DEFAULT '';`})
	for range 2 { // the second time there is nothing to do
		if err := migrate(t.Context(), slog.New(slog.DiscardHandler), file, time.Second, steps); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int{"users": 1, "applications": 1, "services": 1, "nodes": 2, "nodes WHERE zone = ''": 2} {
			if n := count(t, file, table); n != want {
				t.Errorf("%d rows of %s, want %d", n, table, want)
			}
		}
	}
	backup := file + ".before-9999_rebuild"
	if n := count(t, backup, "nodes"); n != 2 {
		t.Errorf("the copy has %d nodes, want 2", n)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info, err)
	}
	if _, err := Open(t.Context(), filepath.Dir(file), Options{}); err == nil || !strings.Contains(err.Error(), "newer version (it has step 9999_rebuild") {
		t.Errorf("an older program opens the database of a newer one: %v", err)
	}
}

func TestBrokenMigrationIsUndone(t *testing.T) {
	file := withRows(t)
	for name, sql := range map[string]string{
		"breaks references": "ALTER TABLE users ADD COLUMN x TEXT; DELETE FROM users;",
		"does not parse":    "ALTER TABLE users ADD COLUMN x TEXT; CREATE NONSENSE;",
	} {
		steps := append(migrations[:len(migrations):len(migrations)], migration{"9999_broken", sql})
		err := migrate(t.Context(), slog.New(slog.DiscardHandler), file, time.Second, steps)
		if err == nil || !strings.Contains(err.Error(), "9999_broken") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "breaks references" && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if n := count(t, file, "users"); n != 1 {
			t.Errorf("%s: %d users are left", name, n)
		}
		openStore(t, filepath.Dir(file), Options{}).Close()
	}
}

// A database of the first schema, with rows, opens with the newest one: its services host no code, and its logins go on.
func TestRowsOfTheFirstSchema(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "director.db")
	if err := errors.Join(makeFile(file), makeKeyFile(filepath.Join(dir, "secret.key"))); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), slog.New(slog.DiscardHandler), file, time.Second, migrations[:1]); err != nil {
		t.Fatal(err)
	}
	db, err := connect(t.Context(), dsn(file, time.Second, ""), 1)
	if err != nil {
		t.Fatal(err)
	}
	const now = "'2026-03-01 12:00:00+00:00'"
	for _, sql := range []string{
		"INSERT INTO users VALUES (1, 'alice', 'user', '', 0, " + now + ")",
		"INSERT INTO certificates VALUES ('ab', 'conpaas:x/agent/1/1/n2', " + now + ", '2100-01-01 00:00:00+00:00', NULL, '')",
		"INSERT INTO tokens VALUES ('hash', 1, " + now + ", '2100-01-01 00:00:00+00:00')",
		"INSERT INTO applications VALUES (1, 1, 'shop', 'default', 'running', 'RUNNING', '', " + now + ", 3, 3, 1, '172.16.0.0/12', 5, 1, " + now + ")",
		`INSERT INTO services VALUES (1, 1, 'helloworld', 'front', 'default', 'started', 'RUNNING', '', ` + now + `, '{"node":2}', '{"greeting":"Hi"}', 0, ` + now + ")",
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	if err := disconnect(db); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, Options{})
	view(t, s, func(r *Read) error {
		service, err := r.Service(1, 1)
		if service.Name != "front" || service.Nodes["node"] != 2 || service.Settings["greeting"] != "Hi" || service.CodeWanted+service.CodeServing != "" {
			t.Errorf("the service is %+v", service)
		}
		return err
	})
	view(t, s, func(r *Read) error {
		user, token, err := r.TokenUser("hash")
		if user.Name != "alice" || user.Profile != (api.Profile{}) || token.Name != "" || token.ID != 1 || !token.Used.IsZero() {
			t.Errorf("the login is %+v of %+v", token, user)
		}
		return err
	})
	view(t, s, func(r *Read) error {
		found, _, err := r.Certificates(CertificateFilter{Role: "agent"}, Page{})
		if len(found) != 1 || found[0].Serial != "ab" || found[0].Identity != "conpaas:x/agent/1/1/n2" || found[0].User != 0 {
			t.Errorf("the certificates of agents are %+v", found)
		}
		return err
	})
	update(t, s, func(tx *Tx) error { return second(tx.SetServiceNodes(1, 1, map[api.Role]int{"node": 3})) })
	if n := count(t, file+".before-0002_code", "services"); n != 1 {
		t.Errorf("the copy has %d services, want 1", n)
	}
}
