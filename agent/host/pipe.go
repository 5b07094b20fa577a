package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"conpaas/client/daemon/proc"
)

// Pipe runs a program between two streams, in a session of its own, until it ends: in is its standard input, nil for none, out
// its standard output. It gives what the program has written to its standard error, 64 KiB at most, and its exit status.
//
// At the end of ctx, and when in or out fail, the whole session is killed and the error says why. The program never sees the end of an
// input that has broken off: it would take it for the whole. Where in is an io.Closer it is closed when the program has ended, which
// must stop a Read that waits; of others the rest is awaited.
func (h *Host) Pipe(ctx context.Context, c Command, in io.Reader, out io.Writer) (stderr []byte, exit int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	command := exec.CommandContext(ctx, c.Path, c.Args...)
	command.Dir = filepath.Join("/", h.root)
	command.Env = append([]string{"PATH=" + programPath, "HOME=/", "LANG=C.UTF-8"}, c.Env...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.WaitDelay = outputGrace
	var said kept
	command.Stderr = &said
	command.Stdout = writer(func(p []byte) error {
		_, err := out.Write(p)
		if err != nil {
			cancel(fmt.Errorf("the output of %s: %w", c.Path, err))
		}
		return err
	})
	var theirs, feed *os.File
	if in != nil {
		if theirs, feed, err = os.Pipe(); err != nil {
			return nil, 0, fmt.Errorf("start %s: %w", c.Path, err)
		}
		defer feed.Close()
		command.Stdin = theirs
	}
	err = proc.User(c.User).Start(command.SysProcAttr, command.Start)
	theirs.Close() // nil has nothing to close
	if err != nil {
		return nil, 0, fmt.Errorf("start %s: %w", c.Path, err)
	}
	ended := make(chan struct{})
	var feeding sync.WaitGroup
	if in != nil {
		feeding.Go(func() {
			if err := copyInput(feed, in); err != nil {
				cancel(fmt.Errorf("the input of %s: %w", c.Path, err))
				<-ended // its end would look like that of the input
			}
			feed.Close()
		})
	}
	err = awaitCommand(ctx, command.Process.Pid)
	close(ended)
	waited := command.Wait()
	cause := context.Cause(ctx)
	if closer, ok := in.(io.Closer); ok {
		closer.Close()
	}
	feeding.Wait()
	switch {
	case cause != nil:
		return said.text, 0, fmt.Errorf("%s was ended: %w", c.Path, cause)
	case err != nil:
		return said.text, 0, fmt.Errorf("run %s: %w", c.Path, err)
	case command.ProcessState == nil:
		return said.text, 0, fmt.Errorf("run %s: %w", c.Path, waited)
	}
	return said.text, *exitFrame(command.ProcessState.Sys().(syscall.WaitStatus)).Exit, nil
}

// copyInput gives a program its input. That it takes no more of it is no error: its exit status says what that means.
func copyInput(to *os.File, from io.Reader) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if _, refused := to.Write(buffer[:n]); refused != nil {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
