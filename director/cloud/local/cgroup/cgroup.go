// Package cgroup holds, ends and removes groups of processes by their control groups, whether the host has cgroup v1,
// v2 or both.
//
// It sets no limits and knows nothing of containers. A group is a path below the root of every hierarchy.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/task"
)

// Hierarchies are the directories where the host's control groups are mounted.
type Hierarchies []string

// Find finds the hierarchies of this host; a host without any is an error.
func Find() (Hierarchies, error) {
	mounts, err := mount.List()
	if err != nil {
		return nil, err
	}
	var found Hierarchies
	for _, m := range mounts {
		switch m.Type {
		case "cgroup2":
			found = slices.Insert(found, 0, m.Point)
		case "cgroup":
			found = append(found, m.Point)
		}
	}
	if found == nil {
		return nil, errors.New("no control groups are mounted; mount cgroup2 on /sys/fs/cgroup")
	}
	return found, nil
}

// Unified tells whether the host has cgroup v2 only.
func (h Hierarchies) Unified() bool {
	if len(h) != 1 {
		return false
	}
	_, err := os.Stat(filepath.Join(h[0], "cgroup.controllers"))
	return err == nil
}

// Missing gives those of the named controllers that no hierarchy has. Cgroup v2 has devices always.
func (h Hierarchies) Missing(controllers ...string) ([]string, error) {
	mounts, err := mount.List()
	if err != nil {
		return nil, err
	}
	var have []string
	if h.Unified() {
		have = append(have, "devices")
	}
	for _, m := range mounts {
		switch m.Type {
		case "cgroup":
			have = append(have, m.Options...)
		case "cgroup2":
			list, err := os.ReadFile(filepath.Join(m.Point, "cgroup.controllers"))
			if err != nil {
				return nil, fmt.Errorf("list the controllers: %w", err)
			}
			have = append(have, strings.Fields(string(list))...)
		}
	}
	return slices.DeleteFunc(slices.Clone(controllers), func(name string) bool { return slices.Contains(have, name) }), nil
}

// CountsSwap tells whether the swap that a group uses can be limited here.
func (h Hierarchies) CountsSwap() bool {
	swaps, err := os.ReadFile("/proc/swaps")
	if err != nil || strings.Count(string(swaps), "\n") < 2 {
		return false // there is no swap
	}
	for _, root := range h {
		if _, err := os.Stat(filepath.Join(root, "memory.memsw.limit_in_bytes")); err == nil {
			return true
		}
	}
	return h.Unified()
}

// Make makes a group without limits in one hierarchy and gives its directory. A process joins it by writing its pid
// to cgroup.procs there.
func (h Hierarchies) Make(path string) (string, error) {
	dir := filepath.Join(h[0], path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the control group: %w", err)
	}
	return dir, nil
}

// Processes gives the pids in a group and the groups below it, in any hierarchy; none where the group does not exist.
// Dead processes that nobody has reaped are not in it.
func (h Hierarchies) Processes(path string) ([]int, error) {
	var pids []int
	err := h.each(path, func(dir string) error {
		list, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		for _, line := range strings.Fields(string(list)) {
			pid, bad := strconv.Atoi(line)
			err = errors.Join(err, bad)
			pids = append(pids, pid)
		}
		return err
	})
	slices.Sort(pids)
	return slices.Compact(pids), err
}

// Kill ends every process of a group, those that it starts meanwhile and frozen ones included, and returns when none
// is left.
func (h Hierarchies) Kill(ctx context.Context, path string) error {
	for {
		pids, err := h.Processes(path)
		if err != nil || len(pids) == 0 {
			return err
		}
		var tasks []task.Task
		for _, pid := range pids {
			t, err := task.Of(pid)
			if err != nil || !h.Member(pid, path) {
				continue // it ended meanwhile; the next look shows whether it did
			}
			if err := t.Kill(); err != nil {
				return err
			}
			tasks = append(tasks, t)
		}
		if err := h.thaw(path); err != nil {
			return err
		}
		for _, t := range tasks {
			if err := t.Wait(ctx); err != nil {
				return fmt.Errorf("wait for the end of process %d: %w", t.PID, err)
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("end the processes of %s: %w", path, err)
		}
	}
}

// Member tells whether the process is in the group, and not another one that was given its pid.
func (h Hierarchies) Member(pid int, path string) bool {
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(list)) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 &&
			(fields[2] == path || strings.HasPrefix(fields[2], path+"/")) {
			return true
		}
	}
	return false
}

// thaw lets frozen processes run, so that they can die.
func (h Hierarchies) thaw(path string) error {
	return h.each(path, func(dir string) error {
		for file, value := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
			f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
			if err != nil {
				continue // not of this hierarchy
			}
			_, err = f.WriteString(value)
			if err := errors.Join(err, f.Close()); err != nil && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("thaw %s: %w", dir, err)
			}
		}
		return nil
	})
}

// Remove removes an empty group and the groups below it, and gives the directories. A group that does not exist is
// removed already.
func (h Hierarchies) Remove(path string) ([]string, error) {
	var dirs []string
	if err := h.each(path, func(dir string) error { dirs = append(dirs, dir); return nil }); err != nil {
		return nil, err
	}
	slices.Reverse(dirs) // what is below comes first
	for i, dir := range dirs {
		if err := rmdir(dir); err != nil {
			return dirs[:i], fmt.Errorf("remove the control group: %w", err)
		}
	}
	return dirs, nil
}

// rmdir removes one group. Processes that have just ended may keep it busy for a moment.
func rmdir(dir string) error {
	const limit = time.Second
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Since(begun) > limit {
			return err
		}
	}
}

// each calls f with the directory of the group and of all groups below it in every hierarchy, from above to below.
func (h Hierarchies) each(path string, f func(dir string) error) error {
	if path == "" || path == "/" {
		return errors.New("the root control group is not ours")
	}
	for _, root := range h {
		err := filepath.WalkDir(filepath.Join(root, path), func(dir string, d fs.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
				return nil
			}
			if err != nil || !d.IsDir() {
				return err
			}
			return f(dir)
		})
		if err != nil {
			return fmt.Errorf("walk the control group %s: %w", path, err)
		}
	}
	return nil
}
