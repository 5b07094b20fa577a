package mysql

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"conpaas/client/api"
)

// A running server takes over a password and settings; agents come and go; what is left of a cluster begins it again, and a
// number that was done is not done again.
func TestChangesOfARunningServer(t *testing.T) {
	l := newLab(t)
	one := l.machine()
	waits := one.config(func(c *api.MySQLConfig) { c.Start = false })
	// An agent that was killed while it made the database leaves a part of one beside its place.
	half := filepath.Join(one.root, api.VolumeDir, volumeName, newDataDir)
	if err := os.MkdirAll(filepath.Join(half, "mysql"), 0o755); err != nil {
		t.Fatal(err)
	}
	one.apply(waits)
	if made, err := os.ReadDir(filepath.Join(one.root, api.VolumeDir, volumeName, dataDir)); err != nil || len(made) > 0 {
		t.Errorf("who may get all the data of another one has made %v, %v", made, err)
	}
	one.begin(1)
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("the part is there still: %v", err)
	}
	running, _ := one.host.Service().State(mysqld)
	one.restart()
	one.apply(one.config(nil))
	one.await(api.RoleMySQL, "it goes on", ready)
	if now, _ := one.host.Service().State(mysqld); now.PID != running.PID {
		t.Errorf("the server was started again with its agent: %d, then %d", running.PID, now.PID)
	}

	db := one.program(3307)
	one.exec(db, "CREATE DATABASE shop", "CREATE TABLE shop.t (n INT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1)")
	one.apply(one.config(func(c *api.MySQLConfig) {
		c.Password = "another secret"
		c.Settings = map[string]string{"max_connections": "77", "innodb_buffer_pool_size": "32M", "slow_query_log": "On", "long_query_time": "1"}
	}))
	one.await(api.RoleMySQL, "it has them", ready)
	var connections, slow int
	if err := one.asRoot().QueryRowContext(t.Context(), "SELECT @@max_connections, @@slow_query_log").Scan(&connections, &slow); err != nil || connections != 77 || slow != 1 {
		t.Errorf("it has %d connections and the log %d, %v", connections, slow, err)
	}
	if err := one.program(3307).PingContext(t.Context()); err == nil {
		t.Error("the old password is good still")
	}
	one.apply(one.config(nil))
	one.await(api.RoleMySQL, "it is as before", ready)
	one.exec(one.program(3307), "SELECT 1")

	// Of two the second is lost: the first takes no changes until it is told that nobody else does.
	two := l.machine()
	two.join()
	one.apply(one.config(nil))
	stop(t, two)
	facts := one.await(api.RoleMySQL, "it takes no changes", func(_ api.RoleStatus, f api.MySQLFacts) bool { return !f.Primary && f.ClusterSize == 1 && f.Queue == 0 })
	if facts.Position == "" || facts.Bootstraps != 1 {
		t.Errorf("it says %+v", facts)
	}
	again := func(n uint64, from string) {
		one.apply(one.config(func(c *api.MySQLConfig) { c.Bootstrap, c.From = n, from }))
	}
	again(1, facts.Position) // it was done
	if _, f := one.status(api.RoleMySQL); f.Primary || f.Bootstraps != 1 {
		t.Errorf("an old number: %+v", f)
	}
	again(2, api.MySQLNoData) // it was decided on something else
	if _, f := one.status(api.RoleMySQL); f.Primary || f.Bootstraps != 2 {
		t.Errorf("another position: %+v", f)
	}
	again(3, facts.Position)
	one.await(api.RoleMySQL, "it has begun again", func(s api.RoleStatus, f api.MySQLFacts) bool { return ready(s, f) && f.Bootstraps == 3 })
	if got := one.rows(); got != "1" {
		t.Errorf("it has the rows %q", got)
	}
	one.apply()
	one.await(api.RoleMySQL, "it is drained", func(s api.RoleStatus, _ api.MySQLFacts) bool { return s.State == api.RoleDrained })
}

// A server that was to get all the data, and found nobody who has them, begins with an empty database when it is told to.
func TestBeginningInPlaceOfJoining(t *testing.T) {
	one := newLab(t).machine()
	one.apply(one.config(nil))
	one.await(api.RoleMySQL, "it has tried", func(api.RoleStatus, api.MySQLFacts) bool {
		return strings.Contains(one.log(), "gcomm: connecting to group")
	})
	if facts := one.begin(1); facts.Bootstraps != 1 || !facts.Primary {
		t.Errorf("it has begun with %+v", facts)
	}
	one.exec(one.program(3307), "CREATE DATABASE shop")
}

// A server that waits for a cluster which it would never find tells whom it knows, and is ended when that is asked for; one that takes changes goes on.
func TestHalt(t *testing.T) {
	one := newLab(t).machine()
	halt := one.config(func(c *api.MySQLConfig) { c.Start, c.Halt = false, true })
	gone := netip.MustParseAddr("127.96.0.99")
	one.apply(one.config(func(c *api.MySQLConfig) { c.Members = append(c.Members, gone) }))
	one.await(api.RoleMySQL, "it waits for the cluster", func(_ api.RoleStatus, f api.MySQLFacts) bool {
		return f.State == api.MySQLStateStarting && slices.Contains(f.Knows, gone) && strings.Contains(one.log(), "gcomm: connecting to group")
	})
	one.apply(halt)
	if status, facts := one.status(api.RoleMySQL); facts.State != api.MySQLStateStopped || facts.Position != api.MySQLNoData || len(facts.Knows) > 0 {
		t.Errorf("it is %+v with %+v", status, facts)
	}
	one.begin(1)
	one.apply(halt)
	if status, facts := one.status(api.RoleMySQL); status.State != api.RoleReady || !facts.Primary {
		t.Errorf("the one at work is %+v with %+v", status, facts)
	}
}

// The programs of a state transfer do not wait as long as they would.
func TestShortWait(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sleep"), []byte("#!/bin/sh\necho $@\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("templates/" + transferScript)
	if err != nil {
		t.Fatal(err)
	}
	bash := exec.Command("bash", "-c", "set -ue; sleep 10; sleep 0.2; (sleep 10); sleep 100")
	bash.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "BASH_ENV=" + script}
	if out, err := bash.CombinedOutput(); err != nil || string(out) != "1\n0.2\n1\n100\n" {
		t.Errorf("it sleeps %q, %v", out, err)
	}
}

// stop stops the process of a server as a lost machine does: the others hear nothing.
func stop(t *testing.T, m *machine) {
	t.Helper()
	t.Cleanup(m.kill)
	if err := m.host.Service().Signal(mysqld, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}
