package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Whoever has read a machine's user-data cannot join with it, and the owner is told; nor does a token open another node.
func TestReplayedUserData(t *testing.T) {
	w := shop(t, "process", 1)
	w.cps("application", "create", "bank")
	w.cps("service", "add", "helloworld", "bank")
	w.cps("service", "start", "bank", "helloworld")
	nodes := w.nodes()
	agent := nodes[0]
	if agent.Role == manager(nodes).Role {
		agent = nodes[1]
	}
	mine := w.bootstrap(w.machine(agent.ID))
	var others map[string]any
	for _, m := range w.machines() {
		if b := w.bootstrap(m); b["kind"] == "agent" && b["node"] != mine["node"] {
			others = b
		}
	}
	if others == nil {
		t.Fatal("the other application has no agent")
	}
	for name, c := range map[string]struct {
		node, token any
		want        string
	}{
		"replayed":         {mine["node"], mine["token"], "the join token has been used with another key"},
		"a token of mine":  {others["node"], mine["token"], "the join token is not valid"},
		"a token of bank":  {mine["node"], others["token"], "the join token is not valid"},
		"no such node":     {"n4711", mine["token"], "the join token is not valid"},
		"a made-up token":  {mine["node"], strings.Repeat("A", len(mine["token"].(string))), "the join token is not valid"},
		"another's, again": {others["node"], others["token"], "the join token has been used with another key"},
	} {
		b := map[string]any{}
		for key, value := range mine {
			b[key] = value
		}
		b["node"], b["token"] = c.node, c.token
		if out := w.joinAs(b); !strings.Contains(out, c.want) {
			t.Errorf("%s: the agent says %q; want %q", name, out, c.want)
		}
	}
	for application, node := range map[string]any{"shop": mine["node"], "bank": others["node"]} {
		out := w.cps("application", "events", application)
		if want := "a second machine tried to join as node " + node.(string) + " with its token"; strings.Count(out, "node.token_reused") != 1 || !strings.Contains(out, want) {
			t.Errorf("the events of %s: %s\nwant one that says %q", application, out, want)
		}
	}
	for _, n := range w.nodes() {
		if n.State != "ready" {
			t.Errorf("node %s is %s: %s", n.ID, n.State, n.Reason)
		}
	}
}

// bootstrap reads what a machine's user-data has written.
func (w *world) bootstrap(m machine) map[string]any {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.data(), "clouds/default/machines", m.ID, "root/var/lib/conpaas/bootstrap.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	var b map[string]any
	if err := json.Unmarshal(text, &b); err != nil {
		w.t.Fatal(err)
	}
	return b
}

// joinAs runs an agent on a new machine with a bootstrap document until it gives up, and gives what it says.
func (w *world) joinAs(bootstrap map[string]any) string {
	w.t.Helper()
	root := w.t.TempDir()
	text, err := json.Marshal(bootstrap)
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(root, "var/lib/conpaas/bootstrap.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "cpsagent"), "run", "--root", root)
	cmd.Env = w.env()
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		w.t.Errorf("an agent with foreign user-data has not given up: %v, %s", err, out)
	}
	return string(out)
}
