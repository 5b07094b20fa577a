package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"conpaas/client/api"
)

// Whatever dies in the middle of whatever is done to databases: it is done in the end, and every write that was acknowledged is on every
// machine.
func TestFaultMySQL(t *testing.T) { walks(t, "mysql", 1, mysqlWalk) }

func mysqlWalk(w *walk) {
	w.programs = []string{"/usr/sbin/mariadbd", "haproxy", " overlay "}
	w.within = 4 * time.Second
	w.cps("application", "create", "shop")
	w.cps("service", "add", "mysql", "shop")
	w.cps("service", "start", "shop", "mysql")
	w.sql(w.of(api.RoleMySQL)[0].ID, "CREATE DATABASE shop; CREATE TABLE shop.w (n INT PRIMARY KEY)")
	l := &ledger{done: make(chan struct{}), ended: make(chan struct{})}
	go l.write(w)
	w.t.Cleanup(l.close)

	have := func(databases, machines int) func() error {
		return func() error { return errors.Join(w.reached(machines), w.synced(databases), l.kept(w)) }
	}
	w.step(api.OperationSucceeded, have(3, 3), "service", "add-nodes", "shop", "mysql", "--mysql", "2")
	w.write("secret", "another-password-of-the-test\n")
	w.step(api.OperationSucceeded, have(3, 3), "mysql", "set-password", "shop", "mysql", "--password-file", w.path("secret"))
	w.step(api.OperationSucceeded, have(3, 4), "service", "add-nodes", "shop", "mysql", "--glb", "1")
	w.step(api.OperationSucceeded, have(2, 3), "service", "remove-nodes", "shop", "mysql", "--mysql", "1")
	w.step(api.OperationSucceeded, func() error { return w.exactly(0) }, "service", "stop", "shop", "mysql")
	w.step(api.OperationSucceeded, have(2, 3), "service", "start", "shop", "mysql")
	l.close()
	if err := l.kept(w); err != nil || l.count() == 0 {
		w.t.Errorf("%d rows were acknowledged: %v", l.count(), err)
	}
}

// ledger is what a program has written, one row after another.
type ledger struct {
	done, ended chan struct{}
	once        sync.Once
	mu          sync.Mutex
	acked       []string // by which machine, and when
}

func (l *ledger) close() {
	l.once.Do(func() { close(l.done) })
	<-l.ended
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// write writes rows 1, 2, 3, … at any server that takes them. One that is there already was written by an attempt whose answer did not come.
func (l *ledger) write(w *walk) {
	defer close(l.ended)
	for {
		select {
		case <-l.done:
			return
		default:
		}
		nodes, _ := w.tryNodes()
		for _, n := range nodes {
			if n.Role != api.RoleMySQL {
				continue
			}
			insert := fmt.Sprintf("INSERT INTO shop.w VALUES (%d) ON DUPLICATE KEY UPDATE n = n", l.count()+1)
			if _, err := w.try("node", "exec", string(n.ID), "--", "mariadb", "-S", socket, "-e", insert); err == nil {
				l.mu.Lock()
				l.acked = append(l.acked, fmt.Sprintf("%s at %s", n.ID, time.Now().Format(time.StampMilli)))
				l.mu.Unlock()
				break
			}
		}
	}
}

// kept tells whether every machine has all that was acknowledged.
func (l *ledger) kept(w *walk) error {
	l.mu.Lock()
	acked := slices.Clone(l.acked)
	l.mu.Unlock()
	nodes, err := w.tryNodes()
	for _, n := range nodes {
		if n.Role != api.RoleMySQL {
			continue
		}
		rows, err := w.rows(n.ID)
		if err != nil {
			return err
		}
		for i, by := range acked {
			if !rows[strconv.Itoa(i+1)] {
				w.t.Errorf("%s lacks row %d of %d, which %s has acknowledged", n.ID, i+1, len(acked), by)
			}
		}
	}
	return err
}
