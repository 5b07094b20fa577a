package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// errInterrupted does not wrap context.Canceled: a program that has not made what it was asked for must not succeed.
var errInterrupted = errors.New("interrupted; nothing is left of this disk")

// told is how many bytes of what a program has said last an error shows.
const told = 2000

// run runs a program to its end, with all programs that it starts in a group that an interruption ends.
func run(ctx context.Context, o Options, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1")
	if o.Held != nil {
		cmd.ExtraFiles = []*os.File{o.Held}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		text := bytes.TrimSpace(out.Bytes())
		return fmt.Errorf("%s: %w: %s", name, err, text[max(0, len(text)-told):])
	}
	return nil
}
