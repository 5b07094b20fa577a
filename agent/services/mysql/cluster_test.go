package mysql

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"conpaas/client/api"
)

// One machine begins, two join, one is killed and comes back with what it has missed, all stop and the most advanced begins
// again. No restart begins a cluster.
func TestLifeOfACluster(t *testing.T) {
	l := newLab(t)
	one := l.machine()
	one.apply(one.config(func(c *api.MySQLConfig) { c.Start = false }))
	facts := one.await(api.RoleMySQL, "it waits with nothing", func(s api.RoleStatus, f api.MySQLFacts) bool {
		return s.State == api.RoleStarting && f.State == api.MySQLStateStopped
	})
	if facts.Position != api.MySQLNoData || facts.Bootstraps != 0 {
		t.Errorf("a new machine says %+v", facts)
	}
	facts = one.begin(1)
	if facts.Bootstraps != 1 || !facts.Primary || facts.ClusterSize != 1 || facts.State != "Synced" || !strings.HasPrefix(facts.Position, facts.ClusterUUID+":") {
		t.Errorf("it has begun with %+v", facts)
	}
	db := one.program(3307)
	one.exec(db, "CREATE DATABASE shop", "CREATE TABLE shop.t (n INT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1)")

	two, three := l.machine(), l.machine()
	for _, m := range []*machine{two, three} {
		if f := m.join(); f.ClusterUUID != facts.ClusterUUID || f.Bootstraps != 0 {
			t.Errorf("%s has joined with %+v", m.node.ID, f)
		}
	}
	if got := three.rows(); got != "1" {
		t.Errorf("the third machine has the rows %q", got)
	}
	for _, m := range []*machine{one, two} {
		state, _ := m.host.Service().State(mysqld)
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", state.PID))
		if script := m.host.State().Path(configDir + "/" + transferScript); err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), "BASH_ENV="+script) {
			t.Errorf("%s: its state transfers do not read %s: %v", m.node.ID, script, err)
		}
	}
	one.apply(one.config(nil)) // all members are known, and no bootstrap is asked for any more

	two.kill()
	one.exec(db, "INSERT INTO shop.t VALUES (2)")
	two.await(api.RoleMySQL, "it is back", func(s api.RoleStatus, f api.MySQLFacts) bool { return ready(s, f) && f.ClusterSize == 3 })
	if got := two.rows(); got != "1,2" {
		t.Errorf("the killed machine has the rows %q", got)
	}
	if text := two.log(); !strings.Contains(text, "Receiving IST") {
		t.Error("the killed machine has not come back by the changes alone")
	}

	// The third machine leaves, what follows it does not see, and then nobody is left.
	if err := three.host.Service().Stop(t.Context(), mysqld); err != nil {
		t.Fatal(err)
	}
	one.await(api.RoleMySQL, "two are left", func(_ api.RoleStatus, f api.MySQLFacts) bool { return f.ClusterSize == 2 && f.Primary })
	one.exec(db, "INSERT INTO shop.t VALUES (3)")
	two.await(api.RoleMySQL, "it has the row", func(api.RoleStatus, api.MySQLFacts) bool { return two.rows() == "1,2,3" })
	one.kill()
	two.kill()
	three.apply(three.config(nil))
	outside := func(s api.RoleStatus, f api.MySQLFacts) bool { return !f.Primary && f.Position != "" }
	first, second, last := one.await(api.RoleMySQL, "it is outside", outside), two.await(api.RoleMySQL, "it is outside", outside), three.await(api.RoleMySQL, "it is outside", outside)
	if first.Position != second.Position || first.Position <= last.Position {
		t.Errorf("the positions are %s, %s, %s", first.Position, second.Position, last.Position)
	}
	two.begin(1)
	for _, m := range []*machine{one, three} {
		m.await(api.RoleMySQL, "it has joined", ready)
		if got := m.rows(); got != "1,2,3" {
			t.Errorf("%s has the rows %q", m.node.ID, got)
		}
	}
}

// A machine that is killed while it receives the data has no data that counts, and receives it again. The one that gives it serves meanwhile.
func TestInterruptedJoin(t *testing.T) {
	l := newLab(t)
	one := l.machine()
	one.apply(one.config(func(c *api.MySQLConfig) { c.Start = false }))
	one.begin(1)
	db := one.program(3307)
	one.exec(db, "CREATE DATABASE shop", "CREATE TABLE shop.t (n INT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1)")
	two := l.machine()
	two.apply(two.config(nil))
	receives := filepath.Join(two.root, api.VolumeDir, volumeName, dataDir, ".sst")
	two.await(api.RoleMySQL, "it receives the data", func(s api.RoleStatus, f api.MySQLFacts) bool {
		if f.Primary || s.State != api.RoleStarting {
			t.Fatalf("it says %+v %+v before it has the data", s, f)
		}
		_, err := os.Stat(receives)
		return err == nil
	})
	one.exec(db, "INSERT INTO shop.t VALUES (2)")
	two.kill()
	// One that has no data yet does not count: the first goes on, with nobody's help.
	for n := 3; n < 20; n++ {
		one.exec(db, fmt.Sprintf("INSERT INTO shop.t VALUES (%d)", n))
	}
	if s, f := one.status(api.RoleMySQL); !f.Primary || !ready(s, f) || f.Bootstraps != 1 {
		t.Errorf("the first says %+v %+v", s, f)
	}
	two.await(api.RoleMySQL, "it has joined", ready)
	if got, want := two.rows(), one.rows(); got != want || !strings.HasSuffix(want, ",19") {
		t.Errorf("it has the rows %q, and the first %q", got, want)
	}
	// Now it counts: of two, the one that sees nobody any more takes no changes until it is told to go on alone.
	state, _ := two.host.Service().State(mysqld)
	if err := syscall.Kill(state.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	one.await(api.RoleMySQL, "it takes no changes", func(_ api.RoleStatus, f api.MySQLFacts) bool { return !f.Primary && f.Position != "" })
	one.begin(2)
	one.exec(one.program(3307), "INSERT INTO shop.t VALUES (20)")
	if err := syscall.Kill(state.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	two.await(api.RoleMySQL, "it is back", func(s api.RoleStatus, f api.MySQLFacts) bool {
		_, other := one.status(api.RoleMySQL)
		return ready(s, f) && f.ClusterSize == 2 && f.Position == other.Position
	})
	if got, want := two.rows(), one.rows(); got != want || !strings.HasSuffix(want, ",20") {
		t.Errorf("it has the rows %q, and the first %q", got, want)
	}
}

// A server that could not apply what the others have applied leaves the cluster for good; it gets all the data again.
func TestMachineThatCannotApply(t *testing.T) {
	l := newLab(t)
	one := l.machine()
	one.apply(one.config(func(c *api.MySQLConfig) { c.Start = false }))
	one.begin(1)
	db := one.program(3307)
	one.exec(db, "CREATE DATABASE shop", "CREATE TABLE shop.t (n INT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1)")
	two := l.machine()
	two.join()
	alone := two.asRoot()
	alone.SetMaxOpenConns(1)
	two.exec(alone, "SET SESSION wsrep_on = OFF", "DELETE FROM shop.t")
	one.exec(db, "UPDATE shop.t SET n = 2")
	one.await(api.RoleMySQL, "it goes on alone", func(s api.RoleStatus, f api.MySQLFacts) bool { return ready(s, f) && f.ClusterSize == 1 })
	two.await(api.RoleMySQL, "it is back", func(s api.RoleStatus, f api.MySQLFacts) bool { return ready(s, f) && f.ClusterSize == 2 })
	if got := two.rows(); got != "2" {
		t.Errorf("it has the rows %q", got)
	}
	if _, f := one.status(api.RoleMySQL); f.Bootstraps != 1 {
		t.Errorf("the first was told to begin: %+v", f)
	}
}
