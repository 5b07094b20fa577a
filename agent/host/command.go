package host

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	In  io.Reader // what it reads; nil: nothing
	Out io.Writer // where its standard output goes; nil: what is kept
}

// maxOutput bounds what is kept of a command's output.
const maxOutput = 64 << 10

// Command runs a program in a session of its own, which ends with it or with ctx, and gives what it has written to
// both streams, or to standard error alone where there is an Out, 64 KiB at most, and its exit status. An error is of a program that
// could not be run or was ended; one that ran and failed is none.
func (h *Host) Command(ctx context.Context, c Command) (output []byte, exit int, err error) {
	return Run(ctx, filepath.Join("/", h.root), c)
}

// Run is Command for a program of the agent that has no Host; dir is where it runs.
func Run(ctx context.Context, dir string, c Command) (output []byte, exit int, err error) {
	command := exec.CommandContext(ctx, c.Path, c.Args...)
	command.Dir = dir
	command.Env = append([]string{"PATH=" + programPath, "HOME=/", "LANG=C.UTF-8"}, c.Env...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.WaitDelay = outputGrace
	var out kept
	command.Stdin, command.Stdout, command.Stderr = c.In, &out, &out // one pipe, so that what is written stays in order
	if c.Out != nil {
		command.Stdout = c.Out
	}
	if err := proc.User(c.User).Start(command.SysProcAttr, command.Start); err != nil {
		return nil, 0, fmt.Errorf("start %s: %w", c.Path, err)
	}
	err = awaitCommand(ctx, command.Process.Pid)
	waited := command.Wait()
	switch {
	case ctx.Err() != nil:
		return out.text, 0, fmt.Errorf("%s was ended: %w", c.Path, ctx.Err())
	case err != nil:
		return out.text, 0, fmt.Errorf("run %s: %w", c.Path, err)
	case command.ProcessState == nil:
		return out.text, 0, fmt.Errorf("run %s: %w", c.Path, waited)
	}
	exit = *exitFrame(command.ProcessState.Sys().(syscall.WaitStatus)).Exit
	var ended *exec.ExitError
	if waited != nil && exit == 0 && !errors.As(waited, &ended) {
		return out.text, 0, fmt.Errorf("run %s: %w", c.Path, waited) // of In or Out
	}
	return out.text, exit, nil
}

// kept is the beginning of a program's output.
type kept struct {
	text []byte
}

func (k *kept) Write(p []byte) (int, error) {
	k.text = append(k.text, p[:min(len(p), maxOutput-len(k.text))]...)
	return len(p), nil
}
