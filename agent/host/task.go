package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"conpaas/client/daemon/proc"
)

// Task is a script that runs to its end once. It runs in a session of its own, outlives the agent, and writes to the log
// of its name. How it has ended is on disk, for a later agent too. It is for one goroutine.
type Task struct {
	h       *Host
	name    string
	process *proc.Process // nil while it does not run, as far as is known
}

const (
	taskDir     = "tasks" // below the state directory: scripts, and how they ended
	taskShell   = "/bin/sh"
	maxTaskExit = 16 // bytes of an exit status
)

// taskProgram runs the script that is its first argument, and leaves its exit status in the file that is the second. It
// gets neither text nor names of others. A script without #! is run by the shell itself.
const taskProgram = `"$1"; status=$?; echo $status > "$2.new" && mv "$2.new" "$2"; exit $status`

// Task opens the task of that name, and adopts its script where it runs.
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
		t.process = process
	}
	return t, nil
}

func (t *Task) stateFile() string { return t.h.run.Path(taskDir + "/" + t.name + stateSuffix) }
func (t *Task) script() string    { return taskDir + "/" + t.name }
func (t *Task) status() string    { return taskDir + "/" + t.name + ".status" }

// Start begins the script; one that runs is ended before. env is its environment beside PATH.
func (t *Task) Start(ctx context.Context, script []byte, env []string) error {
	if err := t.End(ctx); err != nil {
		return err
	}
	if _, err := t.h.state.Write(t.script(), script, 0o700); err != nil {
		return err
	}
	process, err := proc.Start(t.stateFile(), proc.Spec{
		Name: t.name, Path: taskShell, Args: []string{"-c", taskProgram, t.name, t.h.state.Path(t.script()), t.h.state.Path(t.status())},
		Env: append([]string{"PATH=" + programPath}, env...), Dir: filepath.Join("/", t.h.root), Log: t.h.logs.Path(t.name),
	})
	if err != nil {
		return fmt.Errorf("task %s: %w", t.name, err)
	}
	t.process = process
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
	return errors.Join(t.h.run.Remove(taskDir+"/"+t.name+stateSuffix), t.h.state.Remove(t.status()), t.h.state.Remove(t.script()))
}

// Release lets go of the script, which goes on where it runs.
func (t *Task) Release() {
	if t.process != nil {
		t.process.Release()
		t.process = nil
	}
}
