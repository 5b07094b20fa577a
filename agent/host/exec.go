package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
	"conpaas/client/daemon/proc"
)

// Bounds of commands.
const (
	maxExecs        = 8 // at once
	maxStdin        = 512 << 10
	maxArguments    = 1024
	maxCommand      = 128 << 10 // bytes of all arguments
	defaultExecTime = 60 * time.Second
	maxExecTime     = 3600 * time.Second
	outputGrace     = 2 * time.Second // for output that is still in the pipes when the command has ended
)

// Exec runs a command in a session of its own and hands its output to emit as it comes, the exit status last. An
// error is of a request that was refused before anything ran (an *api.Error), or of emit. When the command
// ends, its time is up, ctx ends or emit fails, everything that it has started is killed.
func (h *Host) Exec(ctx context.Context, r api.ExecRequest, emit func(api.ExecFrame) error) error {
	limit, err := checkExec(r)
	if err != nil {
		return err
	}
	select {
	case h.execs <- struct{}{}:
		defer func() { <-h.execs }()
	default:
		return api.Errorf(api.CodeThrottled, "%d commands run on this node already; try again when one has ended", maxExecs)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out := &frames{emit: emit, broken: cancel}
	path, err := h.Look(r.Command[0])
	if err != nil {
		return out.send(api.ExecFrame{Error: err.Error()})
	}
	command := exec.CommandContext(ctx, path, r.Command[1:]...)
	command.Args[0] = r.Command[0]
	command.Dir = filepath.Join("/", h.root)
	command.Env = []string{"PATH=" + programPath, "HOME=/root", "LANG=C.UTF-8", "TERM=dumb"}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.WaitDelay = outputGrace
	command.Stdin = strings.NewReader(string(r.Stdin))
	command.Stdout = writer(func(p []byte) error { return out.send(api.ExecFrame{Stdout: p}) })
	command.Stderr = writer(func(p []byte) error { return out.send(api.ExecFrame{Stderr: p}) })
	if err := command.Start(); err != nil {
		return out.send(api.ExecFrame{Error: fmt.Sprintf("start %s: %v", r.Command[0], err)})
	}
	if err := awaitCommand(ctx, command.Process.Pid); err != nil {
		return out.send(api.ExecFrame{Error: fmt.Sprintf("run %s: %v", r.Command[0], err)})
	}
	err = command.Wait()
	if ctx.Err() != nil && out.err == nil {
		return out.send(api.ExecFrame{Error: fmt.Sprintf("%s was ended: it took longer than %s, or nobody waited for it any more", r.Command[0], limit)})
	}
	if command.ProcessState == nil {
		return out.send(api.ExecFrame{Error: fmt.Sprintf("run %s: %v", r.Command[0], err)})
	}
	return out.send(exitFrame(command.ProcessState.Sys().(syscall.WaitStatus)))
}

func exitFrame(status syscall.WaitStatus) api.ExecFrame {
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return api.ExecFrame{Exit: &code}
}

func checkExec(r api.ExecRequest) (time.Duration, error) {
	bytes := 0
	for _, a := range r.Command {
		bytes += len(a)
		if strings.ContainsRune(a, 0) {
			return 0, api.InField("command", "an argument holds a NUL byte")
		}
	}
	switch {
	case len(r.Command) == 0 || r.Command[0] == "":
		return 0, api.InField("command", "name a program")
	case len(r.Command) > maxArguments || bytes > maxCommand:
		return 0, api.InField("command", "at most %d arguments of %d bytes in all are allowed", maxArguments, maxCommand)
	case len(r.Stdin) > maxStdin:
		return 0, api.InField("stdin", "it has %d bytes; at most %d are allowed", len(r.Stdin), maxStdin)
	case r.Timeout < 0 || time.Duration(r.Timeout)*time.Second > maxExecTime:
		return 0, api.InField("timeout", "%d is not within 0 and %.0f seconds", r.Timeout, maxExecTime.Seconds())
	case r.Timeout == 0:
		return defaultExecTime, nil
	}
	return time.Duration(r.Timeout) * time.Second, nil
}

// awaitCommand waits until the leader has ended or ctx has, and kills what is left of the session. The leader
// is looked at without being reaped, so that its id cannot be another process's while the session is killed.
func awaitCommand(ctx context.Context, pid int) error {
	ended := make(chan error, 1)
	go func() {
		for {
			err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
			if !errors.Is(err, unix.EINTR) {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		return errors.Join(err, proc.EndSession(pid))
	case <-ctx.Done():
	}
	err := proc.EndSession(pid)
	return errors.Join(err, <-ended)
}

// frames hands frames of both streams on, one at a time, and ends the command when nobody takes them.
type frames struct {
	emit   func(api.ExecFrame) error
	broken context.CancelFunc

	mu  sync.Mutex
	err error
}

func (f *frames) send(frame api.ExecFrame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		if f.err = f.emit(frame); f.err != nil {
			f.broken()
		}
	}
	return f.err
}

// writer makes a function the end of a pipe.
type writer func(p []byte) error

func (w writer) Write(p []byte) (int, error) {
	if err := w(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

var _ io.Writer = writer(nil)
