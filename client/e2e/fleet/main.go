// Command fleet runs the managers of many machines in one process, for benchmarks: a thousand programs would not fit on the
// machine that measures. Each line of the named pipe that is its argument is the root directory of a machine that has
// booted; what runs for it is the whole of cpsmanager, with its own certificate and connection. It ends when its standard
// input does.
//
// It must not know what is measured.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"conpaas/manager/command"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("want one argument, a named pipe, not %d", len(os.Args)-1)
	}
	roots, err := os.OpenFile(os.Args[1], os.O_RDWR, 0) // with a writer of its own it never sees an end
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var managers sync.WaitGroup
	go func() {
		for lines := bufio.NewScanner(roots); lines.Scan(); {
			root := lines.Text()
			managers.Go(func() {
				if err := command.Run(ctx, command.Options{Root: root, Level: slog.LevelInfo, Stderr: io.Discard}); ctx.Err() == nil {
					fmt.Fprintf(os.Stderr, "fleet: the manager of %s ended: %v\n", root, err)
				}
			})
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	cancel()
	managers.Wait()
	return err
}
