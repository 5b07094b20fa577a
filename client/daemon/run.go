package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Run is the body of a program's main function. INT and TERM end the context that main is given; a second one ends the
// program at once. Run gives the exit code: 0 when main has succeeded or has ended because of a signal, the error's
// ExitCode() where it has one, else 1. It prints an error as "program: error" to standard error.
func Run(main func(ctx context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	release := context.AfterFunc(ctx, stop)
	defer release()
	return exitCode(os.Stderr, filepath.Base(os.Args[0]), ctx.Err, main(ctx))
}

func exitCode(w io.Writer, name string, ended func() error, err error) int {
	if err == nil || ended() != nil && errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintf(w, "%s: %v\n", name, err)
	if coded, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return coded.ExitCode()
	}
	return 1
}
