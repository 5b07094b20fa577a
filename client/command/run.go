// Package command is the command line client cps: a file per noun, and what they share: output, waiting for
// operations, exit codes, completion and the state that a login keeps.
//
// It knows the director only by package client/director: its routes, addresses and certificates are not its own.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"conpaas/client/director"
	"conpaas/client/ui"
)

// System is what the process gives a run of cps.
type System struct {
	Args           []string // the name of the program first
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Conf           string // the configuration file of all users; empty: there is none
}

// Main runs cps in this process and gives its exit status. An interrupt ends it gently, a second one at once.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	s := System{Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
	if runtime.GOOS != "windows" { // where anybody may make such a folder
		s.Conf = systemConf
	}
	return Run(ctx, s)
}

// Run runs one command and gives its exit status; cps help exit-codes lists them.
func Run(ctx context.Context, s System) int {
	g := newGlobal(s)
	program := programName(s.Args)
	root, err := newProgram(g, program)
	if err == nil {
		root.SetArgs(append([]string{}, s.Args[min(1, len(s.Args)):]...)) // nil would be the arguments of the process
		root.SetIn(s.Stdin)
		root.SetOut(s.Stdout)
		root.SetErr(s.Stderr)
		err = root.ExecuteContext(director.Traced(ctx))
		g.leave(ctx)
	}
	if err == nil {
		return exitOK
	}
	status := exitStatus(ctx, err)
	if text := g.explain(ctx, err); text != "" {
		text = strings.ReplaceAll(ui.CleanLines(text), "\n", "\n  ") // a line of another's text looks like no line of ours
		fmt.Fprintf(g.err, "%s: %s\n", ui.Clean(program), text)
	}
	return status
}
