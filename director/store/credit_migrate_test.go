package store

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"conpaas/client/api"
)

// Users and machines from before there were credits: users get their first ones, machines an hour that costs nothing.
func TestCreditOfAnOlderInstallation(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "director.db")
	if err := errors.Join(makeFile(file), makeKeyFile(filepath.Join(dir, "secret.key"))); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), slog.New(slog.DiscardHandler), file, time.Second, migrations[:4]); err != nil {
		t.Fatal(err)
	}
	db, err := connect(t.Context(), dsn(file, time.Second, ""), 1)
	if err != nil {
		t.Fatal(err)
	}
	const now = "'2026-03-01 12:00:00+00:00'"
	node := func(number, state, key string) string {
		return "INSERT INTO nodes VALUES (" + number + ", 1, 1, 'node', 'default', '" + state + "', '', " + now + ", 1, '', '', '', '', NULL, 0, " + number +
			", '172.16.0." + number + "', 0, '', '" + key + "', '', '', '', '', '', 0, " + now + ", '')"
	}
	for _, sql := range []string{
		"INSERT INTO users VALUES (1, 'root', 'admin', '', 0, " + now + ", '', '', '', '')",
		"INSERT INTO users VALUES (2, 'alice', 'user', '', 0, " + now + ", '', '', '', '')",
		"INSERT INTO applications VALUES (1, 2, 'shop', 'default', 'running', 'RUNNING', '', " + now + ", 3, 3, 1, '172.16.0.0/12', 5, 1, " + now + ")",
		node("1", "ready", "key"), node("2", "booting", ""), node("3", "failed", "key"),
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	if err := disconnect(db); err != nil {
		t.Fatal(err)
	}
	c := newClock()
	s := openStore(t, dir, Options{Now: c.Now})
	charge := func() {
		for more := true; more; {
			update(t, s, func(tx *Tx) (err error) {
				_, more, err = tx.Charge(10)
				return errors.Join(err, tx.OpenAccounts(50, "before"))
			})
		}
	}
	for _, want := range []int64{50, 49} {
		charge()
		view(t, s, func(r *Read) error {
			alice, err := r.Credit(2)
			if err != nil || alice.Balance != want || alice.Machines != 2 || alice.Free {
				t.Errorf("%+v, %v; want %d for the machine that has joined", alice, err, want)
			}
			root, err := r.Credit(1)
			if err != nil || root.Balance != 50 || !root.Free {
				t.Errorf("%+v, %v", root, err)
			}
			return nil
		})
		c.now = c.now.Add(time.Hour)
	}
	if entries := entriesOf(t, s, 2); entries[0].Kind != api.CreditInitial || entries[0].Reason != "before" {
		t.Errorf("%+v", entries)
	}
}
