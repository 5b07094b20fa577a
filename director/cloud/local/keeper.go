package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"conpaas/director/cloud/local/cgroup"
	"conpaas/director/cloud/local/qemu"
	"conpaas/director/cloud/local/runc"
	"conpaas/director/cloud/local/task"
)

// keeper holds the processes of a machine, or of all machines, together. It is named by the path of their control group.
type keeper interface {
	Processes(path string) ([]int, error)
	Kill(ctx context.Context, path string) error
	Remove(path string) ([]string, error)
	Member(pid int, path string) bool
}

// firsts is a keeper without control groups: a machine's processes end with the first one of its process namespace.
type firsts struct {
	runc  runc.Runtime
	group string // of all machines
}

var (
	_ keeper = firsts{}
	_ keeper = emulators{}
	_ keeper = cgroup.Hierarchies(nil)
)

// machine gives the machine that a path names, "" for all.
func (f firsts) machine(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, f.group), "/")
}

// Processes gives the first processes of the machines.
func (f firsts) Processes(path string) ([]int, error) {
	first, err := f.runc.First(f.machine(path))
	pids := make([]int, 0, len(first))
	for _, t := range first {
		pids = append(pids, t.PID)
	}
	return pids, err
}

// Kill ends the machines' processes; that of the first one waits for the others.
func (f firsts) Kill(ctx context.Context, path string) error {
	first, err := f.runc.First(f.machine(path))
	if err != nil {
		return err
	}
	for _, t := range first {
		if err := t.Kill(); err != nil {
			return err
		}
	}
	for _, t := range first {
		if err := t.Wait(ctx); err != nil {
			return fmt.Errorf("wait for the end of process %d: %w", t.PID, err)
		}
	}
	return nil
}

// Remove has nothing to do.
func (f firsts) Remove(string) ([]string, error) { return nil, nil }

// Member is false: what would have to be found out is of no use without control groups.
func (f firsts) Member(int, string) bool { return false }

// emulators is a keeper of virtual machines without control groups: the emulator is a machine's only process, and is
// known by its arguments, also while the shell that becomes it has not.
type emulators struct {
	machines string // directory of the machines' directories
	group    string // of all machines
}

// of gives the processes of the machine that a path names, or of all.
func (e emulators) of(path string) []task.Task {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is right
	within := filepath.Join(e.machines, strings.TrimPrefix(path, e.group)) + "/"
	var found []task.Task
	for _, file := range files {
		text, err := os.ReadFile(file)
		args := strings.Split(string(text), "\x00")
		ours := args[0] == qemu.Program || len(args) > 2 && args[2] == boot
		if err != nil || !ours || !slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, within) }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue // it names no process
		}
		if t, err := task.Of(pid); err == nil {
			found = append(found, t)
		}
	}
	return found
}

func (e emulators) Processes(path string) ([]int, error) {
	var pids []int
	for _, t := range e.of(path) {
		pids = append(pids, t.PID)
	}
	return pids, nil
}

// Kill ends the machines' emulators.
func (e emulators) Kill(ctx context.Context, path string) error {
	for found := e.of(path); len(found) > 0; found = e.of(path) {
		for _, t := range found {
			if err := t.Kill(); err != nil {
				return err
			}
			if err := t.Wait(ctx); err != nil {
				return fmt.Errorf("wait for the end of process %d: %w", t.PID, err)
			}
		}
	}
	return nil
}

// Remove has nothing to do.
func (e emulators) Remove(string) ([]string, error) { return nil, nil }

func (e emulators) Member(pid int, path string) bool {
	return slices.ContainsFunc(e.of(path), func(t task.Task) bool { return t.PID == pid })
}

// hold finds what holds machines together here.
func (c *Cloud) hold() (err error) {
	if !c.mode.limits && c.set.runtime == RuntimeVM {
		c.held = emulators{machines: c.at.machines(), group: c.at.cgroup}
		return nil
	}
	if !c.mode.limits {
		c.held = firsts{runc: runc.Runtime{State: c.at.runc()}, group: c.at.cgroup}
		return nil
	}
	c.groups, err = cgroup.Find()
	c.held = c.groups
	return err
}
