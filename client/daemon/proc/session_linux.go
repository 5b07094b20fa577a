package proc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// scanPause is the time between two looks at what is left of a session.
const scanPause = 5 * time.Millisecond

// KillSession ends the program and all that it has started. The program gets TERM and time to end, grace, unless that is
// 0 (after a Signal of the caller's choice, say); then every process of the session, and every other that has the
// program's mark in its environment, is killed until none is left. It removes the state file. When ctx ends first it
// names the processes that are left.
func (p *Process) KillSession(ctx context.Context, grace time.Duration) error {
	if grace > 0 && p.Alive() {
		if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := p.state.killAll(ctx); err != nil {
		return err
	}
	if err := os.Remove(p.stateFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end process %d: %w", p.state.PID, err)
	}
	return nil
}

// killAll kills every process of the session until none is left.
func (s state) killAll(ctx context.Context) error {
	tick := time.NewTicker(scanPause)
	defer tick.Stop()
	for {
		left, err := s.members()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, m := range left {
			if err := m.kill(); err != nil {
				return fmt.Errorf("end process %d: %w", m.pid, err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("end the session of process %d: %d processes do not end, the first is %d: %w", s.PID, len(left), left[0].pid, ctx.Err())
		}
	}
}

// members lists the living processes of the session. Where another process has got the leader's id the session is empty
// (the kernel does not use an id again that still is a session's), and only the mark counts.
func (s state) members() ([]stat, error) {
	all, err := readAll()
	if err != nil {
		return nil, err
	}
	session := s.PID
	for _, m := range all {
		if m.pid == s.PID && m.start != s.Start {
			session = 0
		}
	}
	var members []stat
	for _, m := range all {
		ours := session != 0 && m.session == session && m.start >= s.Start
		if m.alive() && (ours || marked(m.pid, s.Mark)) {
			members = append(members, m)
		}
	}
	return members, nil
}

// kill ends one process, unless its id has come to mean another.
func (s stat) kill() error {
	fd, err := unix.PidfdOpen(s.pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	now, err := readStat(s.pid)
	if err != nil || now.start != s.start {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}
