package agenttest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"conpaas/agent/agenttest"
	"conpaas/client/api"
	"conpaas/vpn/wgtest"
)

// begun is an agent whose first spec has a start-up script. The script gets a folder of the test as DIR.
type begun struct {
	*agenttest.Parent
	agent    *agenttest.Agent
	dir      string
	revision uint64
}

func newBegun(t *testing.T) *begun {
	t.Helper()
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	b := &begun{Parent: p, agent: agenttest.Start(t, p, agenttest.Options{Node: "n2"}), dir: t.TempDir()}
	t.Cleanup(func() { // a script outlives its agent
		text, _ := os.ReadFile(filepath.Join(b.dir, "begun")) // none has begun: nothing is left
		left, _ := os.ReadFile(filepath.Join(b.dir, "left"))
		for word := range strings.FieldsSeq(string(text) + " " + string(left)) {
			if pid, err := strconv.Atoi(word); err == nil {
				b.killScript(pid)
			}
		}
	})
	p.AwaitConnected(t, "n2")
	return b
}

// killScript ends a script with what it has started; one that has ended is no error.
func (b *begun) killScript(pid int) {
	if group, err := syscall.Getpgid(pid); err == nil {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
}

// script sends a spec with a script, "" for none.
func (b *begun) script(t *testing.T, text string) {
	t.Helper()
	b.revision++
	spec := b.Spec(t, "n2", "Hello", port)
	spec.Revision = b.revision
	if text != "" {
		spec.Startup = &api.Startup{Script: api.Secret(text), Seconds: 60, Env: map[string]api.Secret{"DIR": api.Secret(b.dir), "GREETING": `it's "good"`}}
	}
	if strings.Contains(text, "hang") {
		spec.Startup.Seconds = 1
	}
	if err := b.Client("n2").PutSpec(t.Context(), b.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
}

func (b *begun) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// waits waits until the script has come so far, and gives its process.
func (b *begun) waits(t *testing.T, count int) (pid int) {
	t.Helper()
	wgtest.Eventually(t, "the script has begun", func() bool {
		text, err := os.ReadFile(filepath.Join(b.dir, "begun"))
		lines := strings.Fields(string(text))
		if err != nil || len(lines) != count {
			return false
		}
		_, err = fmt.Sscan(lines[count-1], &pid)
		return err == nil
	})
	return pid
}

// gated begins, waits for the test, and ends well.
const gated = `echo $$ >> "$DIR/begun"
mkfifo "$DIR/gate" 2>/dev/null
read word < "$DIR/gate"
[ -z "$word" ] || { sleep 1000 & echo $! > "$DIR/left"; }
echo "$MY_IP $MY_ROLE $MY_NODE $SERVICE $GREETING $word" > "$DIR/seen"
`

func (b *begun) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "gate"), []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The script runs once, before the roles, whatever becomes of the agent meanwhile.
func TestStartupScriptRunsOnce(t *testing.T) {
	b := newBegun(t)
	b.script(t, gated)
	b.AwaitStatus(t, "n2", "the role waits", func(s api.NodeStatus) bool {
		return s.Error == "" && s.Applied == 0 && s.Startup != "" && len(s.Roles) == 1 && s.Roles[0].State == api.RoleStarting && strings.Contains(s.Roles[0].Reason, "start-up script")
	})
	pid := b.waits(t, 1)
	b.agent.Stop(t)
	b.agent = agenttest.Start(t, b.Parent, agenttest.Options{Node: "n2", Root: b.agent.Root})
	b.AwaitConnected(t, "n2")
	if again := b.waits(t, 1); again != pid {
		t.Errorf("the script runs as %d; want %d as before", again, pid)
	}
	b.open(t)
	if s := b.AwaitReady(t, "n2", 1); s.Startup != "" {
		t.Errorf("it has ended and is reported: %+v", s)
	}
	if want := b.Address("n2").String() + ` node n2 hello it's "good" go` + "\n"; b.read(t, "seen") != want {
		t.Errorf("it has seen %q; want %q", b.read(t, "seen"), want)
	}
	var left int
	if _, err := fmt.Sscan(b.read(t, "left"), &left); err != nil || syscall.Kill(left, 0) != nil {
		t.Errorf("what the script has started is gone: %d, %v", left, err)
	}
	b.script(t, `echo again > "$DIR/again"`)
	b.AwaitReady(t, "n2", 2)
	b.agent.Stop(t)
	b.agent = agenttest.Start(t, b.Parent, agenttest.Options{Node: "n2", Root: b.agent.Root})
	b.AwaitReady(t, "n2", 2)
	if _, err := os.Stat(filepath.Join(b.dir, "again")); err == nil {
		t.Error("another script has run on a machine that works")
	}
}

func TestStartupScriptThatIsKilledRunsAgain(t *testing.T) {
	b := newBegun(t)
	b.script(t, gated)
	pid := b.waits(t, 1)
	b.agent.Stop(t)
	b.killScript(pid)
	b.agent = agenttest.Start(t, b.Parent, agenttest.Options{Node: "n2", Root: b.agent.Root})
	b.AwaitConnected(t, "n2")
	b.waits(t, 2)
	b.open(t)
	b.AwaitReady(t, "n2", 1)
}

func TestStartupScriptThatFails(t *testing.T) {
	b := newBegun(t)
	b.script(t, "for i in 1 2 3; do echo line $i; done; exit 3")
	s := b.AwaitStatus(t, "n2", "the failure is reported", func(s api.NodeStatus) bool { return s.Error != "" })
	want := "the start-up script has failed with exit status 3; the last lines of its log:\nline 1\nline 2\nline 3"
	if s.Error != want || s.Applied != 0 || len(s.Roles) > 0 {
		t.Errorf("it says %q; want %q; roles %v", s.Error, want, s.Roles)
	}
	text, err := b.Client("n2").Log(t.Context(), b.Epoch(), "startup", 1, false)
	if err != nil {
		t.Fatal(err)
	}
	text.Close()
	// The agent does not try it again, and another script takes its place.
	b.agent.Stop(t)
	b.agent = agenttest.Start(t, b.Parent, agenttest.Options{Node: "n2", Root: b.agent.Root})
	b.AwaitStatus(t, "n2", "it is reported by the next agent", func(s api.NodeStatus) bool { return s.Error == want })
	b.script(t, "#!/bin/sh -e\ntrue\n")
	b.AwaitReady(t, "n2", b.revision)
}

func TestStartupScriptThatHangs(t *testing.T) {
	b := newBegun(t)
	b.script(t, `echo $$ >> "$DIR/begun"; echo hang; sleep 1000 & sleep 1000`)
	pid := b.waits(t, 1)
	b.AwaitStatus(t, "n2", "the end of its time is reported", func(s api.NodeStatus) bool {
		return strings.Contains(s.Error, "has not ended within 1s; the last lines of its log:\nhang")
	})
	wgtest.Eventually(t, "nothing is left of it", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestStartupScriptThatIsTakenBack(t *testing.T) {
	b := newBegun(t)
	b.script(t, gated)
	b.waits(t, 1)
	b.script(t, "")
	b.AwaitReady(t, "n2", 2)
	if _, err := os.Stat(filepath.Join(b.dir, "seen")); err == nil {
		t.Error("it went on")
	}
}
