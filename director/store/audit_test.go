package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"conpaas/client/api"
)

// logged adds so many entries.
func logged(t testing.TB, s *Store, count int) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		for i := range count {
			e := AuditEntry{Origin: Origin{User: 1, Who: "ana", Address: "192.0.2.1"}, Action: fmt.Sprintf("act-%d", i), Outcome: OutcomeDone}
			if err := tx.AddAudit(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// verified gives what VerifyAudit says from outside.
func verified(t testing.TB, s *Store) (AuditEnd, error) {
	t.Helper()
	return VerifyAudit(t.Context(), s.dir, s.opts.File)
}

// The database itself refuses to change and to remove entries.
func TestAuditIsAppendOnly(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{})
	logged(t, s, 3)
	for _, statement := range []string{
		"UPDATE audit SET who = 'bob'", "UPDATE audit SET count = count WHERE id = 2", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1",
		"REPLACE INTO audit SELECT * FROM audit WHERE id = 1",
	} {
		err := s.Update(t.Context(), "test", func(tx *Tx) error { return tx.db.Exec(statement).Error })
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v, want it refused", statement, err)
		}
	}
	if end, err := verified(t, s); err != nil || end.Entries != 3 || end.Last != 3 {
		t.Errorf("%+v, %v", end, err)
	}
}

// Who goes around the triggers is found out by the chain, and the first broken entry is named.
func TestAuditChainShowsChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ statement, says string }{
		"changed":       {"UPDATE audit SET outcome = 'done', who = 'bob' WHERE id = 3", "entry 3 was changed"},
		"changed time":  {"UPDATE audit SET time = '2001-01-01 00:00:00+00:00' WHERE id = 4", "entry 4 was changed"},
		"removed":       {"DELETE FROM audit WHERE id = 2", "entry 2 is missing"},
		"first removed": {"DELETE FROM audit WHERE id = 1", "entry 1 is missing"},
		"end removed":   {"DELETE FROM audit WHERE id > 3", "entry 4 is missing, and all behind it"},
		"all removed":   {"DELETE FROM audit", "entry 1 is missing, and all behind it"},
		"exchanged":     {"UPDATE audit SET id = CASE id WHEN 2 THEN -3 ELSE -2 END WHERE id IN (2, 3); UPDATE audit SET id = -id WHERE id < 0", "entry 2 "},
		"hash of other": {"UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 1) WHERE id = 2", "entry 2 was changed"},
		"false pruning": {"UPDATE audit SET pruned = 2 WHERE id = 5; DELETE FROM audit WHERE id <= 2", "entry 3 does not follow"},
		"forged":        {"INSERT INTO audit SELECT id + 1, time, user_id, who, credential, address, agent, request, action, application_id, owner_id, object, changes, outcome, detail, count, pruned, pruned_hash, hash, 'abc' FROM audit WHERE id = 5", "entry 6 was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, t.TempDir(), Options{})
			logged(t, s, 5)
			update(t, s, func(tx *Tx) error {
				return tx.db.Exec("DROP TRIGGER audit_no_change; DROP TRIGGER audit_no_removal; " + c.statement).Error
			})
			if _, err := verified(t, s); !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// A copy of the key is needed to make another chain: with another key nothing fits.
func TestAuditNeedsTheKey(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{})
	logged(t, s, 2)
	other := t.TempDir()
	if err := makeKeyFile(filepath.Join(other, "secret.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyAudit(t.Context(), other, s.opts.File); !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), "entry 1 was changed") {
		t.Error(err)
	}
}

// Old entries go, from the beginning on, and what is left still proves that it is whole.
func TestAuditIsPruned(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := openStore(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	logged(t, s, 10)
	now = now.Add(time.Hour)
	logged(t, s, 2)
	prune := func(most, want int) {
		t.Helper()
		update(t, s, func(tx *Tx) error {
			if n, err := tx.PruneAudit(now.Add(-time.Minute), most); err != nil || n != want {
				t.Errorf("%d are removed, %v; want %d", n, err, want)
			}
			return nil
		})
	}
	for _, want := range []int{4, 4, 2, 0} {
		prune(4, want)
		if end, err := verified(t, s); err != nil {
			t.Fatal(end, err)
		}
	}
	view(t, s, func(r *Read) error {
		entries, _, err := r.Audit(AuditFilter{}, Page{})
		if len(entries) != 5 || entries[4].ID != 11 || entries[0].Action != "audit-pruned" || entries[0].Object != "2 entries up to 10" {
			t.Errorf("%d entries are left: %+v", len(entries), entries)
		}
		return err
	})
	now = now.Add(time.Hour) // also the checkpoints grow old
	prune(100, 5)
	logged(t, s, 1)
	if end, err := verified(t, s); err != nil || end.Entries != 2 {
		t.Error(end, err)
	}
	err := s.Update(t.Context(), "test", func(tx *Tx) error { return tx.db.Exec("DELETE FROM audit WHERE id > 15").Error })
	if err == nil {
		t.Error("an entry behind the checkpoint could be removed")
	}
}

// A change and its entry are in one transaction: neither is there without the other.
func TestChangesAndEntriesAreOne(t *testing.T) {
	t.Parallel()
	fail := errors.New("no commit")
	s := openStore(t, t.TempDir(), Options{Failpoint: func(name string) error {
		if name == "broken/before" {
			return fail
		}
		return nil
	}})
	var ana User
	update(t, s, func(tx *Tx) (err error) {
		ana, err = tx.CreateUser(User{Name: "ana", Role: api.RoleAdmin})
		return err
	})
	trail := &Trail{Origin: Origin{User: ana.ID, Who: "ana", Credential: "login (1)"}, Action: "change-user", Mutates: true}
	trail.Names("user", "ana")
	ctx := WithTrail(t.Context(), trail)
	change := func(tx *Tx) error {
		return errors.Join(tx.SetProfile(ana.ID, api.Profile{Email: "a@example.org"}), tx.SetPassword(ana.ID, "$argon2id$secret"))
	}
	if err := s.Update(ctx, "broken", change); !errors.Is(err, fail) || trail.Written() {
		t.Fatal(err, trail.Written())
	}
	if err := s.Update(context.WithoutCancel(ctx), "whole", change); err != nil || !trail.Written() {
		t.Fatal(err, trail.Written())
	}
	view(t, s, func(r *Read) error {
		entries, _, err := r.Audit(AuditFilter{}, Page{})
		want := []Change{{"email", "", "a@example.org"}, {"password", masked, masked}}
		if len(entries) != 1 || entries[0].Object != "user ana" || fmt.Sprint(entries[0].Changes) != fmt.Sprint(want) || entries[0].Who != "ana" {
			t.Errorf("%+v", entries)
		}
		return err
	})
	quiet := WithTrail(t.Context(), &Trail{Action: "show-user"})
	if err := s.Update(quiet, "quiet", func(tx *Tx) error { return tx.SetProfile(ana.ID, api.Profile{}) }); err != nil {
		t.Fatal(err)
	}
	if end, err := verified(t, s); err != nil || end.Entries != 1 {
		t.Errorf("a request that only reads has left an entry: %+v, %v", end, err)
	}
}

// Searches find what they should, and use an index.
func TestAuditSearch(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := openStore(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	for _, e := range []AuditEntry{
		{Origin: Origin{User: 1, Who: "ana", Address: "192.0.2.1"}, Action: "start-application", Application: 7, Owner: 1, Outcome: OutcomeDone},
		{Origin: Origin{User: 2, Who: "bob", Address: "192.0.2.2"}, Action: "start-service", Application: 7, Owner: 1, Outcome: "forbidden"},
		{Origin: Origin{User: 2, Who: "bob", Address: "192.0.2.2"}, Action: "login", Outcome: OutcomeDone},
		{Origin: Origin{Who: "anonymous", Address: "192.0.2.3"}, Action: "login", Outcome: "unauthenticated"},
	} {
		now = now.Add(time.Minute)
		update(t, s, func(tx *Tx) error { return tx.AddAudit(e) })
	}
	begin := now.Add(-3 * time.Minute)
	for name, c := range map[string]struct {
		filter AuditFilter
		want   string
	}{
		"all":                   {AuditFilter{}, "[4 3 2 1]"},
		"user":                  {AuditFilter{Who: "bob"}, "[3 2]"},
		"application":           {AuditFilter{Application: 7}, "[2 1]"},
		"action":                {AuditFilter{Action: "start-"}, "[2 1]"},
		"failed":                {AuditFilter{Failed: true}, "[4 2]"},
		"address":               {AuditFilter{Address: "192.0.2.2"}, "[3 2]"},
		"since":                 {AuditFilter{Since: begin.Add(time.Minute)}, "[4 3 2]"},
		"until":                 {AuditFilter{Until: begin.Add(time.Minute)}, "[1]"},
		"what ana sees":         {AuditFilter{VisibleTo: 1}, "[2 1]"},
		"what bob sees":         {AuditFilter{VisibleTo: 2}, "[3 2]"},
		"not where bob was":     {AuditFilter{VisibleTo: 1, Address: "192.0.2.2"}, "[]"},
		"application and user":  {AuditFilter{Application: 7, Who: "ana"}, "[1]"},
		"what nobody has done":  {AuditFilter{Who: "eve"}, "[]"},
		"percent is no pattern": {AuditFilter{Action: "%"}, "[]"},
	} {
		view(t, s, func(r *Read) error {
			entries, _, err := r.Audit(c.filter, Page{})
			got := []int64{}
			for _, e := range entries {
				got = append(got, e.ID)
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("%s: %v, want %s", name, got, c.want)
			}
			if name == "all" || name == "failed" || name == "since" || name == "until" { // from the newest on, most entries are wanted
				return err
			}
			var plan []struct{ Detail string }
			text := r.db.ToSQL(func(db *gorm.DB) *gorm.DB { return c.filter.where(db).Order("id DESC").Find(&[]auditRow{}) })
			if err := r.db.Raw("EXPLAIN QUERY PLAN " + text).Scan(&plan).Error; err != nil {
				return err
			}
			if len(plan) == 0 || !strings.Contains(fmt.Sprint(plan), "INDEX audit_") && !strings.Contains(fmt.Sprint(plan), "INTEGER PRIMARY KEY") {
				t.Errorf("%s is searched without an index: %v", name, plan)
			}
			return err
		})
	}
}
