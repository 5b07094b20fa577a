// Package task knows processes of this host that may be nobody's children: by pid and start time, so that a pid that
// was given again is never taken for the old process.
//
// It knows nothing of machines. A process whose parent does not reap it counts as dead although its pid exists.
package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that a process does not exist any more.
var ErrGone = errors.New("the process is gone")

// Task is one process. It is kept on disk.
type Task struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since the host's boot, proc_pid_stat(5)
}

// Status is what proc_pid_stat(5) says of a process.
type Status struct {
	State   byte // Z and X are dead
	Parent  int
	Session int
	Start   uint64
}

// Of gives the process that has the pid now.
func Of(pid int) (Task, error) {
	s, err := Read(pid)
	if err != nil {
		return Task{}, err
	}
	return Task{PID: pid, Start: s.Start}, nil
}

// Read reads the status of the process that has the pid now.
func Read(pid int) (Status, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return Status{}, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	if err != nil {
		return Status{}, fmt.Errorf("read the status of process %d: %w", pid, err)
	}
	return parse(stat)
}

// parse reads a line of proc_pid_stat(5); the second field, a name in parentheses, may hold anything.
func parse(stat []byte) (Status, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return Status{}, fmt.Errorf("process status %q has an unknown form", stat)
	}
	parent, err1 := strconv.Atoi(string(fields[1]))
	session, err2 := strconv.Atoi(string(fields[3]))
	start, err3 := strconv.ParseUint(string(fields[19]), 10, 64)
	return Status{State: fields[0][0], Parent: parent, Session: session, Start: start}, errors.Join(err1, err2, err3)
}

// Alive tells whether the process runs or could run.
func (t Task) Alive() bool {
	if t.PID <= 0 {
		return false
	}
	s, err := Read(t.PID)
	return err == nil && s.Start == t.Start && s.State != 'Z' && s.State != 'X'
}

// open gives a descriptor of the process and not of a later one with its pid.
func (t Task) open() (*os.File, error) {
	if t.PID <= 0 {
		return nil, ErrGone
	}
	fd, err := unix.PidfdOpen(t.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", t.PID, err)
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("process %d", t.PID))
	if !t.Alive() {
		return nil, errors.Join(ErrGone, f.Close())
	}
	return f, nil
}

// Wait returns nil when the process has ended and reaps it where it is a child of this process, or returns the error of
// ctx. It holds no thread.
func (t Task) Wait(ctx context.Context) error {
	defer t.Reap()
	f, err := t.open()
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch process %d: %w", t.PID, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n > 0
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Kill sends SIGKILL; a process that is gone is killed already.
func (t Task) Kill() error {
	f, err := t.open()
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.PidfdSendSignal(int(f.Fd()), unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", t.PID, err)
	}
	return nil
}

// Reap collects the process where it is a dead child of this one, which it is after its own parent ended while this
// process is a child subreaper.
func (t Task) Reap() {
	if s, err := Read(t.PID); t.PID > 0 && err == nil && s.Start == t.Start && s.State == 'Z' && s.Parent == os.Getpid() {
		_, _ = unix.Wait4(t.PID, nil, unix.WNOHANG, nil)
	}
}
