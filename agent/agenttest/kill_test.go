package agenttest_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/agent/agenttest"
	"conpaas/agent/host/hosttest"
)

// pages gives the processes that serve a page for the agent in a root.
func pages(t *testing.T, root string) (all []string) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(text), "\x00page\x00--root\x00"+root+"\x00") {
			all = append(all, name)
		}
	}
	return all
}

// An agent that is killed at any moment, over and over, ends up with what the last spec says, and with one process.
func TestKilledAtAnyMoment(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	root := hosttest.Root(t)
	data, err := json.Marshal(p.Bootstrap(t, "n2"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "var/lib/conpaas"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/conpaas/bootstrap.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hosttest.Open(t, root) }) // its end is the end of the agent's programs
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func() *os.Process {
		agent, err := os.StartProcess(self, []string{self, "run", "--root", root}, &os.ProcAttr{
			Env: os.Environ(), Files: []*os.File{nil, nil, os.Stderr},
		})
		if err != nil {
			t.Fatal(err)
		}
		return agent
	}
	kill := func(agent *os.Process) {
		if err := agent.Kill(); err != nil {
			t.Error(err)
		}
		if _, err := agent.Wait(); err != nil {
			t.Error(err)
		}
	}
	const rounds = 10
	for round := range rounds {
		agent := start()
		p.AwaitConnected(t, "n2")
		spec := p.Spec(t, "n2", "Hello", uint16(9000+round%2)) // another port is another process
		spec.Revision = uint64(round + 1)
		if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
			t.Fatal(err)
		}
		moment := time.NewTimer(time.Duration(random.IntN(30_000)) * time.Microsecond)
		<-moment.C
		kill(agent)
		p.AwaitDisconnected(t, "n2")
	}
	agent := start()
	defer kill(agent)
	p.AwaitReady(t, "n2", rounds)
	if status, _, err := agenttest.Get(t.Context(), netip.AddrPortFrom(p.Address("n2"), 9000+(rounds-1)%2)); err != nil || status != 200 {
		t.Errorf("the page: %d, %v", status, err)
	}
	if all := pages(t, root); len(all) != 1 {
		t.Errorf("%d processes serve pages: %v", len(all), all)
	}
}
