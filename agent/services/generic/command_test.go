package generic

import (
	"fmt"
	"strings"
	"testing"

	"conpaas/client/api"
)

// forever is a run.sh that says that it has begun.
const forever = `echo begun; echo > $BEGUN; while :; do sleep 0.05; done`

func (w *world) running(scripts map[string]string) {
	w.t.Helper()
	begun := w.fifo("begun")
	w.c.Env = map[string]api.Secret{"BEGUN": api.Secret(begun.Name())}
	w.give(w.version("code-aaaaaa", scripts))
	w.tell(api.GenericRun)
	hear(w.t, begun)
}

func TestInterruptScript(t *testing.T) {
	w := newWorld(t)
	w.running(map[string]string{"run": `trap 'echo told; exit 5' USR1; echo $$ > $HOME/pid; ` + forever, "interrupt": `echo interrupt "$1"; kill -USR1 $(cat $HOME/pid)`})
	w.tell(api.GenericRun)
	if _, f := w.status(); f.Refusal != "run.sh runs" || f.Command != 2 {
		t.Errorf("a second run: %+v", f)
	}
	w.tell(api.GenericInterrupt, "now")
	if s := w.ended(api.GenericRun); s.Exit != 5 {
		t.Errorf("%+v", s)
	}
	if s := w.ended(api.GenericInterrupt); s.Exit != 0 {
		t.Errorf("%+v", s)
	}
	w.tell(api.GenericInterrupt)
	if got := w.log(); strings.Count(got, "interrupt") != 1 || strings.Count(got, "begun") != 1 {
		t.Errorf("%q", got)
	}
}

// Without an interrupt.sh what runs is told to end; what does not is killed at the second time, with what it has started.
func TestInterruptTwice(t *testing.T) {
	w := newWorld(t)
	w.running(map[string]string{"run": `trap 'echo told' TERM; (trap '' TERM; while :; do sleep 0.05; done) & ` + forever})
	w.tell(api.GenericInterrupt)
	w.until("it is told", func() bool { return strings.Contains(w.log(), "told") })
	if _, f := w.status(); !f.Scripts[api.GenericRun].Running {
		t.Errorf("%+v", f)
	}
	w.open() // what was done is not forgotten with the agent
	w.tell(api.GenericInterrupt)
	if s := w.ended(api.GenericRun); s.Exit != killed || s.Reason != "it was killed by a second interrupt" {
		t.Errorf("%+v", s)
	}
}

func TestTimeout(t *testing.T) {
	w := newWorld(t)
	w.running(map[string]string{"run": forever})
	w.c.Timeout = 1
	if s := w.ended(api.GenericRun); s.Exit != killed || s.Reason != "it was killed: it has not ended within 1s" || s.Words != "begun" {
		t.Errorf("%+v", s)
	}
}

// Scripts go on while there is no agent, and the next one knows them; a version waits for their end.
func TestScriptsOutliveTheAgent(t *testing.T) {
	w := newWorld(t)
	goOn := w.fifo("go-on")
	w.running(map[string]string{"run": `echo > $BEGUN; read line < ` + goOn.Name() + `; exit 6`})
	w.open()
	w.settle()
	next := w.version("code-bbbbbb", map[string]string{"init": "echo init"})
	w.c.Versions = append(w.c.Versions, next)
	w.until("the new version waits", func() bool {
		err := w.apply()
		return err != nil && strings.Contains(err.Error(), "waits for the end of run.sh")
	})
	w.open()
	fmt.Fprintln(goOn)
	w.settle()
	if _, f := w.status(); f.Scripts[api.GenericRun].Exit != 6 || f.Scripts[api.GenericRun].Running || !f.Checked[next.ID] {
		t.Errorf("%+v", f)
	}
	w.saw("init")
}

// Whatever step of a beginning an agent dies at, the script runs, and runs once.
func TestCommandsBeginOnce(t *testing.T) {
	w := newWorld(t)
	w.give(w.version("code-aaaaaa", map[string]string{"run": "echo ran $1"}))
	// The agent dies when the run is on disk, and before it begins.
	w.c.Command = &api.Command{Number: 1, Name: api.GenericRun, Parameters: []string{"first"}}
	m := &machine{half: w.half, h: w.h, n: w.n, role: api.RoleMaster, c: w.c}
	if err := m.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	task, err := w.half.task(w.h, api.GenericRun)
	if err != nil {
		t.Fatal(err)
	}
	if err := task.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.rec.Command, m.rec.Scripts[api.GenericRun] = 1, run{Version: w.c.Version, Args: []string{"first"}, Running: true}
	if err := m.rec.write(w.h); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.settle()
	w.until("it has run", func() bool { _, f := w.status(); return !f.Scripts[api.GenericRun].Running })
	w.saw("ran first")
	// It dies before the run is on disk.
	w.c.Command = &api.Command{Number: 2, Name: api.GenericRun, Parameters: []string{"second"}}
	if task, err = w.half.task(w.h, api.GenericRun); err == nil {
		err = task.Prepare(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.open()
		w.settle()
		w.until("it has run", func() bool { _, f := w.status(); return !f.Scripts[api.GenericRun].Running })
	}
	w.saw("ran first ran second")
}
