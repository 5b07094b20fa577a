package mysql

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// A dump has everything but the server's own databases, and makes the same again. What fails says where and why; what is no
// SQL changes nothing; nothing in a dump runs programs or touches accounts.
func TestDumpAndLoad(t *testing.T) {
	l := newLab(t)
	m := l.machine()
	m.apply(m.config(func(c *api.MySQLConfig) { c.Start = false }))
	m.begin(1)
	perform := func(action, in string) (string, error) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := m.half.Perform(ctx, m.host, m.node, m.roles, service.ActionCall{Action: action, In: io.NopCloser(strings.NewReader(in)), Out: &out})
		return out.String(), err
	}
	empty, err := perform(api.MySQLDump, "")
	if err != nil || !strings.HasPrefix(empty, "-- ") {
		t.Fatalf("an empty service: %q, %v", empty, err)
	}
	if _, err := perform(api.MySQLLoadDump, empty); err != nil {
		t.Errorf("its dump is refused: %v", err)
	}
	db := m.program(3307)
	m.exec(db,
		"CREATE DATABASE `-- a shop`", "USE `-- a shop`", "CREATE TABLE `-- a shop`.t (n INT PRIMARY KEY, b BLOB, w TEXT)",
		"INSERT INTO `-- a shop`.t VALUES (1, 0x00ff0a0d27, 'größe ☃')", "CREATE VIEW `-- a shop`.v AS SELECT n FROM `-- a shop`.t",
		"CREATE PROCEDURE `-- a shop`.p() SELECT 1", "CREATE TRIGGER `-- a shop`.tr BEFORE INSERT ON `-- a shop`.t FOR EACH ROW SET NEW.w = UPPER(NEW.w)",
		"CREATE EVENT `-- a shop`.e ON SCHEDULE EVERY 1 YEAR DO SELECT 1",
	)
	dump, err := perform(api.MySQLDump, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"mysql`.`", "global_priv", "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `sys`"} {
		if strings.Contains(dump, foreign) {
			t.Errorf("the dump has %q", foreign)
		}
	}
	m.exec(db, "DROP DATABASE `-- a shop`")
	if _, err := perform(api.MySQLLoadDump, dump); err != nil {
		t.Fatal(err)
	}
	var word, hex string
	if err := db.QueryRowContext(t.Context(), "SELECT w, HEX(b) FROM `-- a shop`.t JOIN `-- a shop`.v USING (n)").Scan(&word, &hex); err != nil || word != "größe ☃" || hex != "00FF0A0D27" {
		t.Errorf("loaded again: %q %q, %v", word, hex, err)
	}
	m.exec(db, "CALL `-- a shop`.p()", "SHOW CREATE EVENT `-- a shop`.e", "INSERT INTO `-- a shop`.t VALUES (2, '', 'x')")

	mark := l.dir + "/mark"
	for in, want := range map[string]string{
		"":                 "it is empty",
		"\x1f\x8b\x08\x00": "gunzip",
		"PK\x03\x04":       "unpack it",
		"<html>":           `it begins with "<html>"`,
		"SELECT 1;\x00":    "no text",
		"CREATE DATABASE a;\n\nSELEKT 1;\nCREATE DATABASE never;":       "at line 3: You have an error in your SQL syntax",
		"CREATE TABLE t (n INT);":                                       "make the dump with --databases",
		"CREATE DATABASE b; CREATE TABLE b.t (n INT) ENGINE=MyISAM;":    "ENGINE=InnoDB",
		"USE mysql;\nDROP TABLE global_priv;":                           "leave out the server's own",
		"SELECT 1;\n\\! touch " + mark + "\nsystem touch " + mark + ";": "at line 2",
		"SELECT 1;\nsystem touch " + mark + "\n;":                       "at line 2",
		"SELECT 'x' INTO OUTFILE '" + mark + "';":                       "Access denied",
		"CREATE USER other;":                                            "Access denied",
		"SELECT 1; SHUTDOWN;":                                           "Access denied",
	} {
		if _, err := perform(api.MySQLLoadDump, in); err == nil || !strings.Contains(err.Error(), want) || api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%.40q: %v; want %q", in, err, want)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a dump has run a program")
	}
	if left, err := perform(api.MySQLDump, ""); err != nil || strings.Contains(left, "never") {
		t.Errorf("what follows an error is done, too, %v", err)
	}
	var users int
	if err := m.asRoot().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM mysql.global_priv WHERE User LIKE 'conpaas%'").Scan(&users); err != nil || users != 0 {
		t.Errorf("%d users are left of loading, %v", users, err)
	}
	if _, err := perform("fly", ""); api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("an unknown action: %v", err)
	}
	m.hides("conpaas-load")
	m.hides(password)
}

func TestLooksLikeSQL(t *testing.T) {
	for text, ok := range map[string]bool{
		"-- a comment\n# another\n/* a third\n */ INSERT INTO t VALUES (1);": true,
		"/*!40101 SET NAMES utf8 */;":                                        true,
		"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump":         true,
		"\ufeffcreate table t (n int)":                                       true,
		"\n\n  USE x;":                                                       true,
		"-- only a comment":                                                  true,
		"insertion of text":                                                  false,
		"# Title\n\nSome words":                                              false,
		"{}":                                                                 false,
	} {
		if err := looksLikeSQL(bufio.NewReaderSize(strings.NewReader(text), sniffed)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	broken := errors.New("the connection ended")
	if err := looksLikeSQL(bufio.NewReaderSize(io.MultiReader(strings.NewReader("SELECT 1"), failing{broken}), sniffed)); !errors.Is(err, broken) {
		t.Errorf("a broken connection: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// What an application is described with is loaded once: never over data, and again where it was broken off.
func TestLoadOfNew(t *testing.T) {
	l := newLab(t)
	m := l.machine()
	m.apply(m.config(func(c *api.MySQLConfig) { c.Start = false }))
	m.begin(1)
	load := func(dump string) error {
		call := service.ActionCall{Action: api.MySQLLoadDump, Params: map[string]string{api.ParamNew: api.SwitchOn}, In: io.NopCloser(strings.NewReader(dump)), Out: io.Discard}
		return m.half.Perform(t.Context(), m.host, m.node, m.roles, call)
	}
	if err := load("CREATE DATABASE one; nonsense;"); api.CodeFrom(err) != api.CodeInvalid {
		t.Fatalf("a dump with a mistake: %v", err)
	}
	if err := load("CREATE DATABASE IF NOT EXISTS one; CREATE DATABASE two;"); err != nil {
		t.Fatalf("after one that was broken off: %v", err)
	}
	err := load("CREATE DATABASE three;")
	if _, skipped := errors.AsType[*service.Skipped](err); !skipped || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("where there are databases: %v", err)
	}
}
