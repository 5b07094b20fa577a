package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"conpaas/client/api"
)

// machine is what the local cloud keeps of one machine.
type machine struct {
	ID    string `json:"id"`
	Token string `json:"token"`
	Task  struct {
		PID int `json:"pid"`
	} `json:"task"`
}

// machines reads what the local cloud has on disk, whether or not a director runs.
func (w *world) machines() []machine {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.data(), "clouds/default/machines/*/machine.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	var all []machine
	for _, file := range files {
		var m machine
		for _, part := range []string{file, filepath.Join(filepath.Dir(file), "life.json")} {
			content, err := os.ReadFile(part)
			if os.IsNotExist(err) {
				continue // it is being made, or was just removed
			}
			if err == nil {
				err = json.Unmarshal(content, &m)
			}
			if err != nil {
				w.t.Fatal(err)
			}
		}
		if m.ID != "" {
			all = append(all, m)
		}
	}
	return all
}

// machine gives the machine of a node.
func (w *world) machine(node api.NodeID) machine {
	w.t.Helper()
	m, ok := w.find(node)
	if !ok {
		w.t.Fatalf("no machine of node %s among %v", node, w.machines())
	}
	return m
}

func (w *world) find(node api.NodeID) (machine, bool) {
	w.t.Helper()
	for _, m := range w.machines() {
		if strings.HasPrefix(m.Token, string(node)+"-") {
			return m, true
		}
	}
	return machine{}, false
}

// killAll kills the processes of all machines whose command line has a word, and gives how many.
func (w *world) killAll(word string) (count int) {
	w.t.Helper()
	for _, m := range w.machines() {
		for _, pid := range m.processes(word) {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				count++
			}
		}
	}
	return count
}

// processes gives the pids of a machine's processes whose command line has all of the words, lowest first.
func (m machine) processes(words ...string) []int {
	parents := make(map[int]int)
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			parents[pid] = parentOf(pid)
		}
	}
	var found []int
	for pid := range parents {
		above := pid
		for above > 1 && above != m.Task.PID {
			above = parents[above]
		}
		if above != m.Task.PID || m.Task.PID == 0 {
			continue
		}
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		args := string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(args, word) }) {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	return found
}

func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// daemons gives the pids of the agent's or the manager's daemon of a machine.
func (m machine) daemons() []int {
	return append(m.processes("cpsagent", " run "), m.processes("cpsmanager", " run ")...)
}

// killDaemon kills the daemon of a machine, whose programs must go on, and gives its pids; none while it boots.
func (m machine) killDaemon() []int {
	pids := m.daemons()
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return pids
}

// destroy ends a machine as a power failure does, with everything on it.
func (m machine) destroy() { _ = syscall.Kill(m.Task.PID, syscall.SIGKILL) }

// nodes gives the nodes of the application shop.
func (w *world) nodes() []api.Node {
	w.t.Helper()
	nodes, err := w.tryNodes()
	if err != nil {
		w.t.Fatal(err)
	}
	return nodes
}

func (w *world) tryNodes() ([]api.Node, error) {
	out, err := w.try("node", "list", "shop", "-o", "json")
	if err != nil {
		return nil, err
	}
	var nodes []api.Node
	return nodes, json.Unmarshal([]byte(out), &nodes)
}

// exactly tells whether there are a manager and count machines, all ready, and nothing else in the cloud.
func (w *world) exactly(count int) error {
	nodes, err := w.tryNodes()
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, n := range nodes {
		if n.State != api.NodeReady {
			return fmt.Errorf("node %s is %s: %s", n.ID, n.State, n.Reason)
		}
		known[n.Machine] = true
	}
	if len(nodes) != count+1 {
		return fmt.Errorf("%d nodes, want %d and a manager", len(nodes), count)
	}
	machines := w.machines()
	for _, m := range machines {
		if !known[m.ID] {
			return fmt.Errorf("machine %s (%s) belongs to no node", m.ID, m.Token)
		}
	}
	if len(machines) != len(nodes) {
		return fmt.Errorf("the cloud has %d machines, the database %d nodes", len(machines), len(nodes))
	}
	return nil
}

// replaced tells whether a lost node has gone, and exactly count others are there.
func (w *world) replaced(lost api.NodeID, count int) error {
	nodes, err := w.tryNodes()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.ID == lost {
			return fmt.Errorf("node %s is still there, as %s", lost, n.State)
		}
	}
	return w.exactly(count)
}

// reached tells whether exactly count machines are there, and the director reaches each through its manager now. Of what is killed it may
// not know yet, and what it knew before it was started itself is no more than that.
func (w *world) reached(count int) error {
	if err := w.exactly(count); err != nil {
		return err
	}
	nodes, err := w.tryNodes()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Role == api.ManagerRole {
			continue
		}
		if _, err := w.try("node", "exec", string(n.ID), "--", "true"); err != nil {
			return err
		}
	}
	return nil
}

// manager gives the node that manages the application.
func manager(nodes []api.Node) api.Node {
	i := slices.IndexFunc(nodes, func(n api.Node) bool { return n.Role == api.ManagerRole })
	if i < 0 {
		return api.Node{}
	}
	return nodes[i]
}

// endpoints gives the addresses at which the service helloworld of shop is reached.
func (w *world) endpoints() []string { return w.endpointsOf("helloworld") }

// fieldsOf gives every value of a text field in a JSON document, wherever it is.
func fieldsOf(document, field string) []string {
	var values []string
	for _, part := range strings.Split(document, `"`+field+`": "`)[1:] {
		value, _, _ := strings.Cut(part, `"`)
		values = append(values, value)
	}
	return values
}
