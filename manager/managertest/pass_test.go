package managertest

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/manager"
)

func TestExecIsPassedOn(t *testing.T) {
	_, m, agents, _ := serving(t, 2)
	var frames []api.ExecFrame
	for frame, err := range m.Exec(t.Context(), m.Epoch(), "n2", api.ExecRequest{Command: []string{"uptime"}}) {
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	if len(frames) != 2 || string(frames[0].Stdout) != "uptime on n2" || frames[1].Exit == nil || *frames[1].Exit != 0 {
		t.Errorf("frames %+v", frames)
	}
	agents[1].Disconnect()
	m.AwaitKnown("n2 is silent", func(k Known) bool { return !k.Nodes["n2"].Connected })
	for node, want := range map[api.NodeID]api.Code{"n2": api.CodeUnavailable, "n9": api.CodeNotFound, "n1000": api.CodeNotFound} {
		for _, err := range m.Exec(t.Context(), m.Epoch(), node, api.ExecRequest{Command: []string{"uptime"}}) {
			if api.CodeFrom(err) != want {
				t.Errorf("a command on %s gets %v, want %s", node, err, want)
			}
		}
	}
}

func TestLogs(t *testing.T) {
	_, m, _, _ := serving(t, 1)
	for name, want := range map[string]string{"": "log agent of n1, lines 7\n", "nginx": "log nginx of n1, lines 7\n"} {
		if got := text(t)(m.NodeLog(t.Context(), m.Epoch(), "n1", name, manager.LogRange{Lines: 7})); got != want {
			t.Errorf("log %q of the node is %q, want %q", name, got, want)
		}
	}
	own := text(t)(m.Log(t.Context(), m.Epoch(), manager.LogRange{Lines: 1000}))
	if !strings.Contains(own, "manager begins") || own != m.ReadLog() && !strings.HasPrefix(m.ReadLog(), own) {
		t.Errorf("the manager's log is %q", own)
	}
	if got := text(t)(m.Log(t.Context(), m.Epoch(), manager.LogRange{Lines: 1})); strings.Count(got, "\n") != 1 {
		t.Errorf("the last line is %q", got)
	}
}

func TestLogIsFollowed(t *testing.T) {
	_, m, agents, _ := serving(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log, err := m.Log(ctx, m.Epoch(), manager.LogRange{Lines: 1, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	agents[0].Disconnect()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "agent disconnected") {
			return
		}
	}
	t.Errorf("the end of a connection is not in the log: %v", lines.Err())
}

func TestEventsOfAgentsAreTold(t *testing.T) {
	_, m, agents, _ := serving(t, 1)
	agents[0].Tell(api.Event{Kind: "agent.test", Text: strings.Repeat("x", 10_000), Node: "n77", Application: 99, Alarm: true})
	k := m.AwaitKnown("the event", func(k Known) bool { return len(k.Events) > 0 })
	if e := k.Events[0]; e.Kind != "agent.test" || e.Node != "n1" || e.Application != Application || !e.Alarm || len(e.Text) > 5000 {
		t.Errorf("the director is told %.200v", e)
	}
}

func text(t *testing.T) func(io.ReadCloser, error) string {
	return func(r io.ReadCloser, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
}
