package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"conpaas/client/daemon/proc"
)

// Task is a program that runs to its end once. It runs in a session of its own, outlives the agent, and writes to logs.
// Whether it has begun and how it has ended is on disk, for a later agent too. It is for one goroutine.
type Task struct {
	h       *Host
	name    string
	process *proc.Process // nil while it does not run, as far as is known
	ignore  func()        // ends the watching of process, and waits for that
}

// Errand is what a task runs.
type Errand struct {
	Path string
	Args []string // without the program's own name
	Env  []string // beside PATH
	Dir  string   // where it starts; "": the root
	User User     // the zero User is the agent's own
	Out  string   // log of its standard output
	Err  string   // log of its standard error; it may be Out

	Processes, Files int  // how many it may have, of its user and open; 0: as many as the agent
	Victim           bool // when the machine has no memory left it is ended before anything else
}

const (
	taskDir     = "tasks" // below the state directory: scripts, whether they have begun, and how they ended
	taskShell   = "/bin/sh"
	maxTaskExit = 16 // bytes of an exit status
)

// taskProgram takes the token of the task away, which is its first argument, so that nothing is begun twice, runs the program that its
// arguments from the fourth on make, and leaves its exit status in the file that is the second; the third is the log of errors. It gets neither
// text nor names of others. A program that is told to end is waited for.
const taskProgram = `[ -e "$1" ] && rm "$1" || exit 75
status=$2 errors=$3
shift 3
trap : TERM
"$@" 2>>"$errors"
code=$?
echo $code > "$status.new" && mv "$status.new" "$status"
exit $code`

// Task opens the task of that name, and adopts its program where it runs.
func (h *Host) Task(name string) (*Task, error) {
	if !programName.MatchString(name) {
		return nil, fmt.Errorf("task name %q: use 1 to 63 letters a-z, digits and '-'", name)
	}
	t := &Task{h: h, name: name}
	if err := errors.Join(h.state.Mkdir(taskDir, 0o700, User{}), h.run.Mkdir(taskDir, 0o700, User{})); err != nil {
		return nil, err
	}
	process, alive, err := proc.Adopt(t.stateFile())
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", name, err)
	}
	if alive {
		t.watch(process)
	}
	return t, nil
}

// watch has the end of a process look like that of a supervised program to those who wait for those.
func (t *Task) watch(process *proc.Process) {
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-process.Done():
			t.h.service.notify()
		case <-stop:
		}
	})
	t.process, t.ignore = process, func() { close(stop); watching.Wait() }
}

func (t *Task) stateFile() string { return t.h.run.Path(taskDir + "/" + t.name + stateSuffix) }
func (t *Task) script() string    { return taskDir + "/" + t.name }
func (t *Task) status() string    { return taskDir + "/" + t.name + ".status" }

func (t *Task) token() string { return taskDir + "/" + t.name + ".token" }

// Start begins a script; what runs is ended before. env is its environment beside PATH. A script without #! is run by a shell.
func (t *Task) Start(ctx context.Context, script []byte, env []string) error {
	if err := t.Prepare(ctx); err != nil {
		return err
	}
	if _, err := t.h.state.Write(t.script(), script, 0o700); err != nil {
		return err
	}
	return t.Run(Errand{Path: t.h.state.Path(t.script()), Env: env, Out: t.name, Err: t.name})
}

// Prepare ends what runs, forgets how it ended, and allows one Run: from here on Begun tells whether that has begun, also after the end of the
// agent or the machine.
func (t *Task) Prepare(ctx context.Context) error {
	if err := t.End(ctx); err != nil {
		return err
	}
	_, err := t.h.state.Write(t.token(), nil, 0o600)
	return err
}

// Begun tells whether the Run that was prepared last has begun.
func (t *Task) Begun() (bool, error) {
	_, err := t.h.state.Size(t.token())
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// Run begins the program, unless it has begun before since Prepare.
func (t *Task) Run(e Errand) error {
	t.Release()
	command, err := e.command()
	if err != nil {
		return fmt.Errorf("task %s: %w", t.name, err)
	}
	if err := t.h.logs.Make(e.Err, User{}); err != nil {
		return fmt.Errorf("task %s: %w", t.name, err)
	}
	args := append([]string{"-c", taskProgram, t.name, t.h.state.Path(t.token()), t.h.state.Path(t.status()), t.h.logs.Path(e.Err)}, command...)
	dir := e.Dir
	if dir == "" {
		dir = filepath.Join("/", t.h.root)
	}
	process, err := proc.Start(t.stateFile(), proc.Spec{
		Name: t.name, Path: taskShell, Args: args, Env: append([]string{"PATH=" + programPath}, e.Env...), Dir: dir, Log: t.h.logs.Path(e.Out),
	})
	if err != nil {
		return fmt.Errorf("task %s: %w", t.name, err)
	}
	t.watch(process)
	return nil
}

// Signal sends a signal to the program and what it has started, but for what has left its group. One that has ended gets none.
func (t *Task) Signal(signal syscall.Signal) error {
	if t.process == nil {
		return nil
	}
	if err := t.process.SignalGroup(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("task %s: %w", t.name, err)
	}
	return nil
}

// Look tells whether the script runs, and how it has ended: exit is -1 for one that runs, was killed or never began.
func (t *Task) Look() (running bool, exit int, err error) {
	running = t.process != nil && t.process.Alive()
	if running {
		return true, -1, nil
	}
	text, err := t.h.state.Read(t.status(), maxTaskExit)
	if errors.Is(err, fs.ErrNotExist) {
		return false, -1, nil
	}
	if err == nil {
		exit, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return false, -1, fmt.Errorf("how task %s has ended: %w", t.name, err)
	}
	return false, exit, nil
}

// End kills the script with all that it has started, and forgets it. Without one it does nothing.
func (t *Task) End(ctx context.Context) error {
	var err error
	if t.process != nil {
		err = t.process.KillSession(ctx, 0)
	} else {
		err = proc.EndLeftovers(ctx, t.stateFile())
	}
	if err != nil {
		return fmt.Errorf("end task %s: %w", t.name, err)
	}
	return t.Forget()
}

// Forget leaves what the script has started as it is, and forgets how it ended.
func (t *Task) Forget() error {
	t.Release()
	return errors.Join(t.h.run.Remove(taskDir+"/"+t.name+stateSuffix), t.h.state.Remove(t.status()), t.h.state.Remove(t.token()), t.h.state.Remove(t.script()))
}

// Release lets go of the script, which goes on where it runs.
func (t *Task) Release() {
	if t.process != nil {
		t.ignore()
		t.process.Release()
		t.process = nil
	}
}
