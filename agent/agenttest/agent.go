// Package agenttest runs real agents in the test's process: each joins a director, connects to a manager (both are
// played by Parent) and applies specs in a temporary directory, in runtime "process": with a 127.x.y.z address and
// without a network of its own.
//
// The programs that an agent supervises are real processes. Where one of them is the agent's own program, the test
// program plays it: TestMain must call Main.
package agenttest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"conpaas/agent/app"
	"conpaas/agent/command"
	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/httpapi"
	"conpaas/agent/service"
	"conpaas/agent/services"
	"conpaas/client/api"
	"conpaas/client/daemon"
)

// Main makes the test program play cpsagent when it is started with the name of one of its commands. Call it first
// in TestMain.
func Main() {
	if len(os.Args) > 1 && slices.Contains([]string{"run", "init", "overlay", "page", "version"}, os.Args[1]) {
		os.Exit(daemon.Run(command.Execute))
	}
}

// Options say which agent to start.
type Options struct {
	Node     api.NodeID
	Root     string                                  // "": a new one
	Timing   app.Timing                              // zero: QuickTiming
	Services map[api.ServiceType]func() service.Half // nil: those of the program
}

// QuickTiming gives waits that are short enough for tests.
func QuickTiming() app.Timing {
	return app.Timing{
		ParentLookup: 300 * time.Millisecond, Splice: time.Second, Direct: 100 * time.Millisecond, Connect: 5 * time.Second, RetryFirst: 20 * time.Millisecond, RetryLast: 300 * time.Millisecond,
		Look: 20 * time.Millisecond, Watch: 200 * time.Millisecond, Reapply: 2 * time.Second, Apply: 20 * time.Second,
		Heartbeat: 200 * time.Millisecond, Counters: time.Second,
	}
}

// Agent is a running agent.
type Agent struct {
	Node api.NodeID
	Root string
	App  *app.App
	Host *host.Host

	parent *Parent
	cancel context.CancelFunc
	done   chan error
}

// Start starts an agent. It is stopped with the test, and all its programs are ended.
func Start(t testing.TB, p *Parent, o Options) *Agent {
	t.Helper()
	if o.Root == "" {
		o.Root = hosttest.Root(t)
	}
	if o.Timing == (app.Timing{}) {
		o.Timing = QuickTiming()
	}
	if o.Services == nil {
		o.Services = services.All()
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	h := hosttest.Open(t, o.Root)
	a, err := app.New(app.Options{Host: h, Log: log, Bootstrap: p.Bootstrap(t, o.Node), Services: o.Services, Timing: o.Timing})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	agent := &Agent{Node: o.Node, Root: o.Root, App: a, Host: h, parent: p, cancel: cancel, done: make(chan error, 1)}
	go func() { agent.done <- a.Run(ctx, httpapi.New(a, log)) }()
	t.Cleanup(func() { agent.Stop(t) })
	return agent
}

// Stop ends the agent as TERM does: its programs go on, and an agent that is started in the same root adopts them. When it
// returns the manager has noticed. Calling it twice is no error.
func (a *Agent) Stop(t testing.TB) {
	t.Helper()
	if a.cancel == nil {
		return
	}
	a.cancel()
	a.cancel = nil
	if err := <-a.done; !errors.Is(err, context.Canceled) {
		t.Errorf("agent %s ended with: %v", a.Node, err)
	}
	if err := a.Host.Close(); err != nil {
		t.Errorf("close the host of agent %s: %v", a.Node, err)
	}
	a.parent.AwaitDisconnected(t, a.Node)
}

// Path gives the path of a file below the agent's state directory.
func (a *Agent) Path(name string) string { return filepath.Join(a.Root, "var/lib/conpaas", name) }
