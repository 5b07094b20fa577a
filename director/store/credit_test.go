package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

// entriesOf gives the whole history of a user.
func entriesOf(t *testing.T, s *Store, user api.UserID) (entries []CreditEntry) {
	t.Helper()
	view(t, s, func(r *Read) (err error) {
		entries, _, err = r.CreditEntries(user, CreditFilter{}, Page{Limit: 1000})
		return err
	})
	return entries
}

func TestTimeThatPassed(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := reading{wall: noon, boot: "a", uptime: time.Hour}
	for name, c := range map[string]struct {
		now   reading
		want  time.Duration
		fault string
	}{
		"an hour":                   {reading{noon.Add(time.Hour), "a", 2 * time.Hour}, time.Hour, ""},
		"set forward by years":      {reading{noon.AddDate(10, 0, 0), "a", 2 * time.Hour}, time.Hour, "was set by 87671h0m0s; credit is charged for the 1h0m0s"},
		"set back by years":         {reading{noon.AddDate(-10, 0, 0), "a", 2 * time.Hour}, time.Hour, "was set by -"},
		"another boot":              {reading{noon.Add(time.Hour), "b", time.Minute}, time.Hour, ""},
		"another boot, set back":    {reading{noon.Add(-time.Hour), "b", time.Minute}, 0, "1h0m0s behind the last start; no credit is charged"},
		"another boot, years later": {reading{noon.AddDate(10, 0, 0), "b", time.Minute}, 31 * 24 * time.Hour, "credit is charged for 744h0m0s of them"},
		"a host without boots":      {reading{wall: noon.Add(time.Minute)}, time.Minute, ""},
		"an uptime that went back":  {reading{noon, "a", 0}, 0, ""},
	} {
		passed, fault := c.now.since(before)
		if passed != c.want || !strings.Contains(fault, c.fault) || (c.fault == "") != (fault == "") {
			t.Errorf("%s: %v, %q; want %v, %q", name, passed, fault, c.want, c.fault)
		}
	}
	boot, up := hostUptime()
	again, later := hostUptime()
	if boot == "" || boot != again || later < up || up <= 0 {
		t.Errorf("this host: %q %v, then %q %v", boot, up, again, later)
	}
}

// A clock that was set is told to people, once.
func TestAClockThatWasSetIsTold(t *testing.T) {
	c, up := newClock(), time.Hour
	s := openStore(t, t.TempDir(), Options{Now: c.Now, Uptime: func() (string, time.Duration) { return "boot", up }})
	a, service := running(t, s, "a")
	ready(t, s, reserve(t, s, service, 1)[0].ID)
	c.now = c.now.AddDate(20, 0, 0)
	for range 2 {
		up += time.Minute
		update(t, s, func(tx *Tx) error {
			stopped, more, err := tx.Charge(10)
			if len(stopped) > 0 || more {
				t.Errorf("stopped %v, more %t", stopped, more)
			}
			return err
		})
	}
	view(t, s, func(r *Read) error {
		events, _, err := r.Events(0, Page{})
		told := 0
		for _, e := range events {
			if e.Kind == "credit.clock" && e.Alarm {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		return err
	})
	if entries := entriesOf(t, s, a.Owner); len(entries) != 2 {
		t.Errorf("%+v", entries)
	}
}

func TestEntriesStay(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	a, service := running(t, s, "a")
	nodes := reserve(t, s, service, 1)
	step(t, s, nodes[0].ID, NodeChange{Reason: "no luck"}, life.NodeLaunch, life.NodeGiveUp)
	for _, forged := range []string{
		"UPDATE credit_entries SET amount = 5", "DELETE FROM credit_entries", "UPDATE credits SET balance = -1",
		"INSERT INTO credit_entries SELECT NULL, time, user_id, kind, amount, balance, application_id, service_id, node_seq, hour, by, reason FROM credit_entries WHERE kind = 'hour'",
		"INSERT INTO credit_entries SELECT NULL, time, user_id, kind, amount, balance, application_id, service_id, node_seq, hour, by, reason FROM credit_entries WHERE kind = 'refund'",
	} {
		if err := s.write.Exec(forged).Error; err == nil {
			t.Errorf("it can be done: %s", forged)
		}
	}
	entries := entriesOf(t, s, a.Owner)
	if len(entries) != 3 || entries[2].Kind != api.CreditRefund || entries[2].Reason != "it never joined: no luck" || entries[2].Balance != entries[0].Balance {
		t.Errorf("%+v", entries)
	}
	// The user goes, what it has paid is remembered.
	update(t, s, func(tx *Tx) error {
		_, err := tx.CreateUser(User{Name: "admin", Role: api.RoleAdmin})
		return errors.Join(err, second(tx.SetApplicationWanted(a.ID, ApplicationDeleted)), second(tx.Step(nodes[0].ID, life.NodeDelete, NodeChange{})),
			second(tx.Step(nodes[0].ID, life.NodeDeleted, NodeChange{})), tx.PurgeApplication(a.ID), tx.DeleteUser(a.Owner))
	})
	entries = entriesOf(t, s, a.Owner)
	if last := entries[len(entries)-1]; len(entries) != 4 || last.Kind != api.CreditClosed || last.Balance != 0 {
		t.Errorf("%+v", entries)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A balance that is not the sum of its entries is damage, which is found from outside too.
func TestForgedBalancesAreFound(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	a, _ := running(t, s, "a")
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.write.Exec("UPDATE credits SET balance = 1 WHERE user_id = ?", int64(a.Owner)).Error; err != nil {
		t.Fatal(err)
	}
	const want = "the credit of user 1 is 1, and its entries sum up to 1000000"
	if err := s.Check(t.Context()); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if err := Examine(t.Context(), dir, "").Damage; !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

// What each node has cost is told in pages, and of one application or node.
func TestNodeCredits(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), Options{Now: c.Now})
	a, service := running(t, s, "a")
	for _, n := range reserve(t, s, service, 3)[:2] {
		ready(t, s, n.ID)
	}
	c.now = c.now.Add(150 * time.Minute)
	for more := true; more; {
		update(t, s, func(tx *Tx) (err error) {
			_, more, err = tx.Charge(1)
			return err
		})
	}
	view(t, s, func(r *Read) error {
		first, next, err := r.NodeCredits(a.Owner, CreditFilter{Application: a.ID}, Page{Limit: 2})
		if err != nil || next != 2 || len(first) != 2 || first[1].Node != "n2" || first[1].Hours != 3 || first[1].Credits != 3 || !first[1].Last.Equal(c.now) {
			t.Errorf("%+v, next %d, %v", first, next, err)
		}
		rest, next, err := r.NodeCredits(a.Owner, CreditFilter{}, Page{Limit: 2, After: next})
		if err != nil || next != 0 || len(rest) != 1 || rest[0].Credits != 1 {
			t.Errorf("%+v, next %d, %v", rest, next, err)
		}
		of, _, err := r.CreditEntries(a.Owner, CreditFilter{Node: "n2"}, Page{})
		if err != nil || len(of) != 3 || of[2].Hour != 2 || of[2].Amount != -1 {
			t.Errorf("%+v, %v", of, err)
		}
		_, _, err = r.CreditEntries(a.Owner, CreditFilter{Node: "x"}, Page{})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("node x: %v", err)
		}
		return nil
	})
}
