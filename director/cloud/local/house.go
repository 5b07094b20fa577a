package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"conpaas/client/daemon"
	"conpaas/director/cloud/local/task"
)

const (
	houseTime  = 30 * time.Second // between two rounds
	consoleMax = 10 << 20         // bytes of a console before it is shortened
	consoleTip = 1 << 20          // bytes that are left of it
)

// keepHouse keeps small what machines let grow, until the life ends.
func (c *Cloud) keepHouse(life context.Context) {
	tick := time.NewTicker(houseTime)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-life.Done():
			return
		}
		c.mu.Lock()
		machines := c.all()
		c.mu.Unlock()
		for _, m := range machines {
			if err := shorten(c.at.console(m.id)); err != nil {
				c.config.Log.Warn("a console was not shortened", "machine", string(m.id), daemon.KeyError, err)
			}
		}
		c.reap()
	}
}

// shorten leaves only the end of a console that is too long. What a machine prints at that moment may be lost.
func shorten(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("shorten a console: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= consoleMax {
		return err
	}
	tip, err := io.ReadAll(io.NewSectionReader(f, info.Size()-consoleTip, consoleTip))
	if err != nil {
		return fmt.Errorf("shorten a console: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("shorten a console: %w", err)
	}
	_, err = f.Write(tip)
	return err
}

// reap collects dead processes of machines that became children of this process when their own parents ended.
func (c *Cloud) reap() {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		s, err := task.Read(pid)
		if err == nil && s.State == 'Z' && s.Parent == os.Getpid() && c.held.Member(pid, c.at.cgroup) {
			task.Task{PID: pid, Start: s.Start}.Reap()
		}
	}
}
