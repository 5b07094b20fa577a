package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/task"
)

// first is the first process of a machine that is a session of processes in a control group.
type first struct {
	args  []string
	dir   string // it runs in
	env   []string
	files []*os.File // its descriptors from 4 on
	flags uintptr    // of clone: namespaces of its own
}

// boot joins the control group ($1), where there are any, notes the pid ($2), says so on descriptor 3 and becomes the machine's program.
const boot = `{ [ -z "$1" ] || echo $$ > "$1/cgroup.procs"; } && echo $$ > "$2" && echo joined >&3 && exec 3>&- && shift 2 && exec "$@"`

func (c *Cloud) pidFile(id cloud.MachineID) string { return filepath.Join(c.at.machine(id), "pid") }

// forgetFirst forgets a first process of before.
func (c *Cloud) forgetFirst(id cloud.MachineID) error {
	if err := os.Remove(c.pidFile(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the machine's last process: %w", err)
	}
	return nil
}

// begun gives the first process that was started, where it runs.
func (c *Cloud) begun(id cloud.MachineID) (task.Task, bool) {
	text, err := os.ReadFile(c.pidFile(id))
	if err != nil {
		return task.Task{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return task.Task{}, false
	}
	t, err := task.Of(pid)
	return t, err == nil && t.Alive() && c.held.Member(pid, c.at.group(id))
}

// first starts the first process; it prints to the machine's console and outlives the call.
func (c *Cloud) first(ctx context.Context, id cloud.MachineID, f first) (task.Task, error) {
	group := ""
	if c.mode.limits {
		var err error
		if group, err = c.groups.Make(c.at.group(id)); err != nil {
			return task.Task{}, err
		}
	}
	console, err := openConsole(c.at.console(id))
	if err != nil {
		return task.Task{}, err
	}
	defer console.Close()
	told, tell, err := os.Pipe()
	if err != nil {
		return task.Task{}, fmt.Errorf("start machine %s: %w", id, err)
	}
	defer told.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", append([]string{"-c", boot, "sh", group, c.pidFile(id)}, f.args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = f.dir, console, console, f.env
	cmd.ExtraFiles = append([]*os.File{tell}, f.files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: f.flags}
	err = cmd.Start()
	_ = tell.Close()
	if err != nil {
		return task.Task{}, fmt.Errorf("start machine %s: %w", id, err)
	}
	t, err := task.Of(cmd.Process.Pid)
	if err = errors.Join(err, cmd.Process.Release()); err != nil { // the watcher reaps it
		return t, fmt.Errorf("start machine %s: %w", id, err)
	}
	if word, err := io.ReadAll(told); err != nil || string(word) != "joined\n" {
		return t, fmt.Errorf("start machine %s: it did not join its control group %s; its console tells why (%w)", id, group, errors.Join(err, t.Kill()))
	}
	return t, nil
}
