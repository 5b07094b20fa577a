package host

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"

	"conpaas/client/daemon/proc"
)

// Command is a short-lived program of a service's half, for example one that checks a configuration.
type Command struct {
	Path string
	Args []string // without the program's own name
	Env  []string // beside PATH, HOME and LANG
	User User     // the zero User is the agent's own
}

// maxOutput bounds what is kept of a command's output.
const maxOutput = 64 << 10

// Command runs a program in a session of its own, which ends with it or with ctx, and gives what it has written to
// both streams, 64 KiB at most, and its exit status. An error is of a program that could not be run or was
// ended; one that ran and failed is none.
func (h *Host) Command(ctx context.Context, c Command) (output []byte, exit int, err error) {
	command := exec.CommandContext(ctx, c.Path, c.Args...)
	command.Dir = filepath.Join("/", h.root)
	command.Env = append([]string{"PATH=" + programPath, "HOME=/", "LANG=C.UTF-8"}, c.Env...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.WaitDelay = outputGrace
	var out kept
	command.Stdout, command.Stderr = &out, &out // one pipe, so that what is written stays in order
	if err := proc.User(c.User).Start(command.SysProcAttr, command.Start); err != nil {
		return nil, 0, fmt.Errorf("start %s: %w", c.Path, err)
	}
	err = awaitCommand(ctx, command.Process.Pid)
	waited := command.Wait()
	if ctx.Err() != nil {
		return out.text, 0, fmt.Errorf("%s was ended: %w", c.Path, ctx.Err())
	}
	if err != nil {
		return out.text, 0, fmt.Errorf("run %s: %w", c.Path, err)
	}
	if command.ProcessState == nil {
		return out.text, 0, fmt.Errorf("run %s: %w", c.Path, waited)
	}
	return out.text, *exitFrame(command.ProcessState.Sys().(syscall.WaitStatus)).Exit, nil
}

// kept is the beginning of a program's output.
type kept struct {
	text []byte
}

func (k *kept) Write(p []byte) (int, error) {
	k.text = append(k.text, p[:min(len(p), maxOutput-len(k.text))]...)
	return len(p), nil
}
