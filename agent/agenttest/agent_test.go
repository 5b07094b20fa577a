package agenttest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"conpaas/agent/agenttest"
	"conpaas/client/api"
	"conpaas/vpn/wgtest"
)

func TestMain(m *testing.M) {
	agenttest.Main()
	wgtest.Main()
	goleak.VerifyTestMain(m)
}

const port = 8080

// page fetches the page of a node.
func page(t *testing.T, p *agenttest.Parent, node api.NodeID) string {
	t.Helper()
	status, body, err := agenttest.Get(t.Context(), netip.AddrPortFrom(p.Address(node), port))
	if err != nil || status != 200 {
		t.Fatalf("the page of %s: %d, %v", node, status, err)
	}
	return body
}

// serving starts an agent that serves a page, and gives the process that does.
func serving(t *testing.T, p *agenttest.Parent, node api.NodeID) (a *agenttest.Agent, pid int) {
	t.Helper()
	a = agenttest.Start(t, p, agenttest.Options{Node: node})
	p.AwaitConnected(t, node)
	if err := p.Client(node).PutSpec(t.Context(), p.Epoch(), p.Spec(t, node, "Hello", port)); err != nil {
		t.Fatal(err)
	}
	return a, p.AwaitReady(t, node, 1).Roles[0].PIDs[0]
}

func TestAgentServesWhatTheSpecSays(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	_, pid := serving(t, p, "n2")
	if body := page(t, p, "n2"); !strings.Contains(body, "<h1>Hello</h1>") || !strings.Contains(body, "n2") {
		t.Errorf("the page is:\n%s", body)
	}
	// A new greeting needs no new process.
	spec := p.Spec(t, "n2", "Good & bye", port)
	spec.Revision = 2
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
	s := p.AwaitReady(t, "n2", 2)
	if !slices.Equal(s.Roles[0].PIDs, []int{pid}) {
		t.Errorf("the page is served by %v; want %d as before", s.Roles[0].PIDs, pid)
	}
	if body := page(t, p, "n2"); !strings.Contains(body, "<h1>Good &amp; bye</h1>") {
		t.Errorf("the page is:\n%s", body)
	}
	fingerprint, err := spec.Fingerprint()
	if err != nil || s.Fingerprint != fingerprint {
		t.Errorf("the fingerprint is %s; want %s, %v", s.Fingerprint, fingerprint, err)
	}
	var facts api.HelloworldFacts
	if err := json.Unmarshal(s.Roles[0].Facts, &facts); err != nil || facts.Server != "page" || facts.Note == "" {
		t.Errorf("the facts %s do not say that this is no nginx: %v", s.Roles[0].Facts, err)
	}
	if s.Node != "n2" || s.BootID == "" || s.Version == "" || s.DataPlane != "none" {
		t.Errorf("the status is %+v", s)
	}
}

// The page is served all the while by the same process: while the agent is away, after it has come back and found no
// manager, and when the manager is there again.
func TestProgramsOutliveTheAgent(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	a, pid := serving(t, p, "n2")
	p.StopManager()
	a.Stop(t)
	page(t, p, "n2")
	agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: a.Root})
	page(t, p, "n2")
	p.RestartManager(t)
	s := p.AwaitReady(t, "n2", 1)
	if !slices.Equal(s.Roles[0].PIDs, []int{pid}) {
		t.Errorf("the page is served by %v; want %d as before", s.Roles[0].PIDs, pid)
	}
	page(t, p, "n2")
}

func TestProgramThatDiesIsStartedAgain(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	_, pid := serving(t, p, "n2")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.AwaitStatus(t, "n2", "another process serves", func(s api.NodeStatus) bool {
		r := s.Roles[0]
		return r.State == api.RoleReady && len(r.PIDs) == 1 && r.PIDs[0] != pid
	})
	page(t, p, "n2")
}

// A role that cannot run says why, with what its program has said, and runs as soon as it can.
func TestFailingRoleSaysWhyAndRecovers(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	agenttest.Start(t, p, agenttest.Options{Node: "n2"})
	taken, err := net.Listen("tcp", netip.AddrPortFrom(p.Address("n2"), port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p.AwaitConnected(t, "n2")
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	p.AwaitStatus(t, "n2", "the role fails and says why", func(s api.NodeStatus) bool {
		return len(s.Roles) == 1 && s.Roles[0].State == api.RoleFailed && strings.Contains(s.Roles[0].Reason, "address already in use")
	})
	taken.Close()
	p.AwaitReady(t, "n2", 1)
}

func TestDrain(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	serving(t, p, "n2")
	drained := func(s api.NodeStatus) bool { return len(s.Roles) == 1 && s.Roles[0].State == api.RoleDrained }
	spec := p.Spec(t, "n2", "Hello", port)
	var config api.HelloworldConfig
	if err := json.Unmarshal(spec.Roles[0].Config, &config); err != nil {
		t.Fatal(err)
	}
	config.Drain = true
	var err error
	if spec.Roles[0].Config, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	for _, roles := range [][]api.RoleSpec{spec.Roles, nil} {
		spec.Revision++
		spec.Roles = roles
		if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
			t.Fatal(err)
		}
		p.AwaitStatus(t, "n2", "the role is drained", drained)
		if _, _, err := agenttest.Get(t.Context(), netip.AddrPortFrom(p.Address("n2"), port)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a drained role answers: %v", err)
		}
		spec = p.Spec(t, "n2", "Hello", port)
		spec.Revision = 10
		if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
			t.Fatal(err)
		}
		p.AwaitReady(t, "n2", 10)
	}
}

// A manager that was replaced is found by way of the director, also twice; one that only was away is found again.
func TestAgentFindsItsParent(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	a, _ := serving(t, p, "n2")
	for range 2 {
		p.StopManager()
		p.ReplaceManager(t)
		p.AwaitReady(t, "n2", 1)
	}
	p.StopManager()
	before := p.Lookups()
	p.AwaitLookup(t, before+1)
	p.RestartManager(t)
	p.AwaitConnected(t, "n2")
	// The next agent begins with the parent that was found last.
	p.StopManager()
	p.ReplaceManager(t)
	p.AwaitConnected(t, "n2")
	a.Stop(t)
	before = p.Lookups()
	agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: a.Root})
	p.AwaitReady(t, "n2", 1)
	if got := p.Lookups(); got != before {
		t.Errorf("the agent has asked the director %d times for a parent that it knew", got-before)
	}
}

// A spec file that is torn does not stop what runs, people are told, and the next push mends it.
func TestTornSpec(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	a, pid := serving(t, p, "n2")
	a.Stop(t)
	data, err := os.ReadFile(a.Path("state/spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.Path("state/spec.json"), data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: a.Root})
	p.AwaitConnected(t, "n2")
	alarm := false
	for report, err := range p.Client("n2").Stream(t.Context(), p.Epoch()) {
		if err != nil {
			t.Fatal(err)
		}
		if report.Event != nil {
			alarm = report.Event.Alarm && report.Event.Kind == "agent.spec_unreadable" && report.Event.Node == "n2"
			break
		}
	}
	if !alarm {
		t.Error("nobody was told of the torn spec")
	}
	page(t, p, "n2")
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	if s := p.AwaitReady(t, "n2", 1); !slices.Equal(s.Roles[0].PIDs, []int{pid}) {
		t.Errorf("the page is served by %v; want %d as before", s.Roles[0].PIDs, pid)
	}
}

func TestLogsAndExec(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	_, pid := serving(t, p, "n2")
	c := p.Client("n2")
	names, err := c.Logs(t.Context(), p.Epoch())
	if err != nil || !slices.Contains(names, "page") {
		t.Errorf("the logs are %v, %v", names, err)
	}
	if _, err := c.Log(t.Context(), p.Epoch(), "../../../etc/passwd", 10, false); api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("a log outside: %v; want %s", err, api.CodeNotFound)
	}
	var out string
	var exit *int
	for frame, err := range c.Exec(t.Context(), p.Epoch(), api.ExecRequest{Command: []string{"readlink", "/proc/self/exe"}}) {
		if err != nil {
			t.Fatal(err)
		}
		out += string(frame.Stdout)
		exit = frame.Exit
	}
	if exit == nil || *exit != 0 || !strings.HasPrefix(out, "/") {
		t.Errorf("the command says %q and ends with %v", out, exit)
	}
	for _, err := range c.Exec(t.Context(), p.Epoch(), api.ExecRequest{}) {
		if api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("no command at all: %v", err)
		}
	}
	// What a program says comes as it says it.
	follow, err := c.Log(t.Context(), p.Epoch(), "page", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	taken, err := c.Log(t.Context(), p.Epoch(), "page", 5, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(taken); err != nil {
		t.Error(err)
	}
	taken.Close()
}
