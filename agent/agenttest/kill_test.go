package agenttest_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/agent/agenttest"
	"conpaas/agent/host/hosttest"
	"conpaas/client/api"
)

// running gives the processes of cpsagent's command for the agent in a root.
func running(t *testing.T, command, root string) (pids []int) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), "\x00"+command+"\x00--root\x00"+root+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// machineRoot makes a root with what the user-data of a node's machine writes.
func machineRoot(t *testing.T, p *agenttest.Parent, node api.NodeID) string {
	t.Helper()
	root := hosttest.Root(t)
	data, err := json.Marshal(p.Bootstrap(t, node))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "var/lib/conpaas")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bootstrap.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// separate prepares agents in processes of their own, which are killed by the test: start starts cpsagent with a command.
func separate(t *testing.T, p *agenttest.Parent, node api.NodeID) (root string, start func(command string) *os.Process) {
	t.Helper()
	root = machineRoot(t, p, node)
	t.Cleanup(func() { hosttest.Open(t, root) }) // its end is the end of the agent's programs
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return root, func(command string) *os.Process {
		t.Helper()
		agent, err := os.StartProcess(self, []string{self, command, "--root", root}, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{nil, nil, os.Stderr}})
		if err != nil {
			t.Fatal(err)
		}
		return agent
	}
}

// end sends a signal to a process and waits for its end.
func end(t *testing.T, process *os.Process, signal os.Signal) {
	t.Helper()
	if err := process.Signal(signal); err != nil {
		t.Error(err)
	}
	if _, err := process.Wait(); err != nil {
		t.Error(err)
	}
}

// An agent that is killed at any moment, over and over, ends up with what the last spec says, and with one process.
func TestKilledAtAnyMoment(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	root, start := separate(t, p, "n2")
	const rounds = 10
	for round := range rounds {
		agent := start("run")
		p.AwaitConnected(t, "n2")
		spec := p.Spec(t, "n2", "Hello", uint16(9000+round%2)) // another port is another process
		spec.Revision = uint64(round + 1)
		if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
			t.Fatal(err)
		}
		moment := time.NewTimer(time.Duration(random.IntN(30_000)) * time.Microsecond)
		<-moment.C
		end(t, agent, os.Kill)
		p.AwaitDisconnected(t, "n2")
	}
	agent := start("run")
	defer end(t, agent, os.Kill)
	p.AwaitReady(t, "n2", rounds)
	if status, _, err := agenttest.Get(t.Context(), netip.AddrPortFrom(p.Address("n2"), 9000+(rounds-1)%2)); err != nil || status != 200 {
		t.Errorf("the page: %d, %v", status, err)
	}
	if all := running(t, "page", root); len(all) != 1 {
		t.Errorf("%d processes serve pages: %v", len(all), all)
	}
}

// Under its init an agent that is killed comes back by itself, and TERM to the init ends the agent in good order;
// the page is served by the same process all the while.
func TestInitKeepsTheAgentAlive(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	root, start := separate(t, p, "n2")
	first := start("init")
	p.AwaitConnected(t, "n2")
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	pids := p.AwaitReady(t, "n2", 1).Roles[0].PIDs
	agents := running(t, "run", root)
	if len(agents) != 1 {
		t.Fatalf("the agents are %v; want one", agents)
	}
	if err := syscall.Kill(agents[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.AwaitDisconnected(t, "n2")
	if s := p.AwaitReady(t, "n2", 1); !slices.Equal(s.Roles[0].PIDs, pids) {
		t.Errorf("the page is served by %v; want %v as before", s.Roles[0].PIDs, pids)
	}
	end(t, first, syscall.SIGTERM)
	if left := running(t, "run", root); len(left) != 0 {
		t.Errorf("the agents %v are left", left)
	}
	page(t, p, "n2")
}
