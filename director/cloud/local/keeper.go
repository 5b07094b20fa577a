package local

import (
	"context"
	"fmt"
	"strings"

	"conpaas/director/cloud/local/cgroup"
	"conpaas/director/cloud/local/runc"
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

// hold finds what holds machines together here.
func (c *Cloud) hold() (err error) {
	if !c.mode.limits {
		c.held = firsts{runc: runc.Runtime{State: c.at.runc()}, group: c.at.cgroup}
		return nil
	}
	c.groups, err = cgroup.Find()
	c.held = c.groups
	return err
}
