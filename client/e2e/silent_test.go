package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/client/api"
)

// An agent that is stopped with its connection open is known to be silent soon. What it has started serves on, the others
// are untouched, nothing is replaced, and all is well again when it goes on.
func TestFaultStoppedAgent(t *testing.T) {
	w := shop(t, "process", 2)
	nodes := w.nodes()
	manages := manager(nodes)
	victim := nodes[slices.IndexFunc(nodes, func(n api.Node) bool { return n.ID != manages.ID })]
	l := startLoad(t, w.endpoints())
	pids := w.machine(victim.ID).daemons()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	}
	if len(pids) != 1 {
		t.Fatalf("the machine of node %s has the daemons %v", victim.ID, pids)
	}
	log := filepath.Join(w.data(), "clouds/default/machines", w.machine(manages.ID).ID, "root/var/log/conpaas/manager.log")
	began := time.Now()
	w.eventually(20*time.Second, "the manager knows that the agent is silent", func() error {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "agent disconnected") && strings.Contains(line, string(victim.ID)) {
				return nil
			}
		}
		return errors.New("its log does not say so")
	})
	t.Logf("the manager knew after %v", time.Since(began).Round(100*time.Millisecond))
	w.eventually(40*time.Second, "people are told", func() error {
		now, err := w.tryNodes()
		if err != nil {
			return err
		}
		for _, n := range now {
			if n.ID == victim.ID && n.State == api.NodeUnreachable && strings.Contains(n.Reason, "nothing has been heard of it") {
				continue
			}
			if n.ID == victim.ID || n.State != api.NodeReady {
				return fmt.Errorf("node %s is %s: %s", n.ID, n.State, n.Reason)
			}
		}
		return nil
	})
	if err := syscall.Kill(pids[0], syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.eventually(60*time.Second, "everything is ready again", func() error { return w.exactly(2) })
	l.stop(t)
	if now := w.nodes(); !slices.ContainsFunc(now, func(n api.Node) bool { return n.ID == victim.ID && n.Machine == victim.Machine }) {
		t.Errorf("node %s was replaced: %+v", victim.ID, now)
	}
}
