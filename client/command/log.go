package command

import (
	"errors"
	"fmt"
	"io"

	"conpaas/client/director"

	"github.com/spf13/cobra"
)

// logOptions are the flags of the commands that show logs.
type logOptions struct {
	query director.LogQuery
	raw   bool
}

func (o *logOptions) flags(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&o.query.Lines, "lines", "n", 0, "only the last `N` lines (default: as many as the director gives)")
	rawFlag(cmd, &o.raw)
}

func (o *logOptions) followFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&o.query.Follow, "follow", "f", false, "go on with the lines that come, until interrupted")
}

func rawFlag(cmd *cobra.Command, raw *bool) {
	cmd.Flags().BoolVar(raw, "raw", false, "let the terminal obey escapes in the text; elsewhere they pass anyway")
}

// broken tells an error of reading from one of writing.
type broken struct{ io.Reader }

type brokenError struct{ cause error }

func (e *brokenError) Error() string { return e.cause.Error() }

// Read reads on.
func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = &brokenError{cause: err}
	}
	return n, err
}

// copyText shows a text from a machine as it is, but for what a terminal would obey.
func (g *Global) copyText(what string, text io.ReadCloser, err error, raw bool) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = text.Close() }()
	to := g.out.Text()
	if raw {
		to = g.out.Writer
	}
	_, err = io.Copy(to, broken{text})
	if early, ok := errors.AsType[*brokenError](err); ok {
		return failf(exitUnavailable, "%s: it has broken off, what is shown is not all of it: %w", what, early.cause)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
