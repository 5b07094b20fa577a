package e2e

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"conpaas/client/api"
)

// What programs write with.
const (
	clerk         = "clerk"
	clerkPassword = "of the test"
	socket        = "/run/conpaas/mysql/mysqld.sock"
	writerName    = "mysqlwriter"
	writesEach    = 20 * time.Millisecond
)

// mysqlWriter ADDRESS: writes 1, 2, 3, … into shop.w until its input ends, and says which are acknowledged.
func mysqlWriter() {
	c := driver.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", os.Args[1], clerk, clerkPassword, "shop"
	c.Timeout, c.ReadTimeout, c.WriteTimeout, c.Logger = time.Second, 20*time.Second, 20*time.Second, &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(ended) }()
	tick := time.NewTicker(writesEach)
	for n := 1; ; n++ {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if _, err := db.ExecContext(context.Background(), "INSERT INTO w VALUES ("+strconv.Itoa(n)+")"); err != nil {
			fmt.Fprintln(os.Stderr, n, err)
			continue
		}
		fmt.Println(n)
	}
}

// writer is a program in a machine that writes.
type writer struct {
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{}

	mu     sync.Mutex
	acked  []string
	last   time.Time
	pause  time.Duration // the longest between two acknowledged writes
	errors strings.Builder
}

// startWriter starts a writer on the network of a machine.
func (w *world) startWriter(t testing.TB, from machine, address string) *writer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), writerName)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	l := &writer{cmd: exec.Command("nsenter", "-t", strconv.Itoa(from.Task.PID), "-n", program, address+":3306"), done: make(chan struct{}), last: time.Now()}
	l.cmd.Stderr = &l.errors
	out, err1 := l.cmd.StdoutPipe()
	in, err2 := l.cmd.StdinPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	l.stdin = in
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.cmd.Process.Kill(); <-l.done })
	go func() {
		defer close(l.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			l.mu.Lock()
			l.pause, l.last = max(l.pause, time.Since(l.last)), time.Now()
			l.acked = append(l.acked, lines.Text())
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *writer) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// takePause gives the longest pause since the last call.
func (l *writer) takePause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pause
	l.pause = 0
	return p
}

func (l *writer) stop(t testing.TB) []string {
	t.Helper()
	l.stdin.Close()
	<-l.done
	if err := l.cmd.Wait(); err != nil {
		t.Errorf("the writer: %v\n%s", err, &l.errors)
	}
	return l.acked
}

// of gives the machines of a role of the application shop, oldest first.
func (w *world) of(role api.Role) (out []api.Node) {
	for _, n := range w.nodes() {
		if n.Role == role {
			out = append(out, n)
		}
	}
	return out
}

func (w *world) sql(node api.NodeID, statement string) string {
	w.t.Helper()
	return w.cps("node", "exec", string(node), "--", "mariadb", "-S", socket, "-N", "-e", statement)
}

// Every write that was acknowledged is on every machine: machines join, and one of them is killed while it receives the data; the machine that
// takes the writes is lost together with the manager's; all servers are killed at once; and all machines are stopped and started.
func TestMySQLKeepsWhatItHasAcknowledged(t *testing.T) {
	w := newWorld(t, t.TempDir(), "container")
	t.Cleanup(w.close)
	w.start()
	w.login()
	w.cps("application", "create", "shop")
	w.cps("service", "add", "mysql", "shop")
	w.cps("service", "start", "shop", "mysql")
	w.cps("service", "add-nodes", "shop", "mysql", "--glb", "1")
	first, glb := w.of(api.RoleMySQL)[0], w.of(api.RoleGLB)[0]
	w.sql(first.ID, "CREATE DATABASE shop; CREATE TABLE shop.w (n INT PRIMARY KEY); CREATE USER "+clerk+" IDENTIFIED BY '"+clerkPassword+"'; GRANT ALL ON shop.* TO "+clerk)

	l := w.startWriter(t, w.machine(glb.ID), glb.Overlay.String())
	w.eventually(30*time.Second, "it writes", func() error { return atLeast(l.count(), 10) })
	l.takePause()
	w.cps("service", "add-nodes", "shop", "mysql", "--mysql", "2", "--no-wait")
	w.killWhileItJoins()
	w.eventually(180*time.Second, "two machines have joined", func() error { return w.exactly(4) })
	w.eventually(30*time.Second, "the operation has ended", w.noOpenOperation)
	if s := w.cps("mysql", "status", "shop", "mysql", "-o", "json"); strings.Count(s, `"bootstraps": 1`) != 1 || strings.Count(s, `"bootstraps": 0`) != 2 {
		t.Errorf("the cluster was begun again when a server died that was joining: %s", s)
	}
	t.Logf("two machines have joined: %d writes, the longest pause %v", l.count(), l.takePause())
	before := l.count()
	w.machine(manager(w.nodes()).ID).destroy()
	w.machine(first.ID).destroy()
	w.eventually(90*time.Second, "it writes again", func() error { return atLeast(l.count(), before+50) })
	w.eventually(180*time.Second, "the machines are replaced", func() error { return w.replaced(first.ID, 4) })
	w.eventually(180*time.Second, "all have the data", func() error { return w.synced(3) })
	t.Logf("a machine is replaced: %d writes, the longest pause %v", l.count(), l.takePause())
	w.killAll("/usr/sbin/mariadbd")
	before = l.count()
	w.eventually(180*time.Second, "it writes again", func() error { return atLeast(l.count(), before+50) })
	t.Logf("all servers have ended and begun again: %d writes, the longest pause %v", l.count(), l.takePause())
	acked := l.stop(t)
	w.cps("service", "stop", "shop", "mysql")
	w.cps("service", "start", "shop", "mysql")

	for _, n := range w.of(api.RoleMySQL) {
		has, err := w.rows(n.ID)
		if err != nil {
			t.Fatal(err)
		}
		lost := 0
		for _, row := range acked {
			if !has[row] {
				lost++
			}
		}
		t.Logf("%s has %d rows, %d were acknowledged", n.ID, len(has), len(acked))
		if lost > 0 || len(acked) == 0 {
			t.Errorf("%s lacks %d of %d acknowledged rows", n.ID, lost, len(acked))
		}
	}
}

// rows gives what a server has in shop.w.
func (w *world) rows(node api.NodeID) (map[string]bool, error) {
	out, err := w.try("node", "exec", string(node), "--", "mariadb", "-S", socket, "-N", "-e", "SET wsrep_sync_wait = 1; SELECT n FROM shop.w")
	has := make(map[string]bool)
	for row := range strings.Lines(out) {
		has[strings.TrimSpace(row)] = true
	}
	return has, err
}

// synced tells whether exactly count servers have all the data, as they say now.
func (w *world) synced(count int) error {
	out, err := w.try("mysql", "status", "shop", "mysql", "-o", "json")
	if err != nil {
		return err
	}
	var servers []struct {
		State api.RoleState  `json:"state"`
		Facts api.MySQLFacts `json:"facts"`
	}
	if err := json.Unmarshal([]byte(out), &servers); err != nil {
		return err
	}
	have := 0
	for _, s := range servers {
		if s.State == api.RoleReady && s.Facts.State == "Synced" && s.Facts.ClusterSize == count {
			have++
		}
	}
	if have != count || len(servers) != count {
		return fmt.Errorf("%d servers of %d have the data, want %d: %s", have, len(servers), count, out)
	}
	return nil
}

// killWhileItJoins kills the first server that receives all the data of another one.
func (w *world) killWhileItJoins() {
	w.t.Helper()
	w.eventually(90*time.Second, "a server receives the data", func() error {
		for _, m := range w.machines() {
			if receives := m.processes("wsrep_sst_mariabackup", "joiner"); len(receives) == 0 {
				continue
			}
			for _, pid := range m.processes("/usr/sbin/mariadbd") {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return nil
		}
		return errors.New("none does")
	})
}

func atLeast(have, want int) error {
	if have < want {
		return fmt.Errorf("%d, want %d", have, want)
	}
	return nil
}
