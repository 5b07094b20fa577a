package command

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newMySQLDumpCommand(g *Global) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "dump APPLICATION SERVICE",
		Short: "Write all databases as SQL",
		Long: `Write all databases as SQL, to standard output or to a file. A dump that breaks off ends with an error; a file
appears under its name only when it is whole.`,
		Example: `cps mysql dump shop mysql --file shop.sql
cps mysql dump shop mysql --file -`,
		Args: words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("dump service %q of application %q", args[1], args[0])
			if file == "" && g.out.Terminal {
				return usagef("%s: a dump is not shown on a terminal; pass --file FILE, or - to see it nevertheless", what)
			}
			return g.dump(ctx, c, what, args, file)
		}),
		Annotations:       map[string]string{plainText: "true"},
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "write to a `file`, to standard output when it is -")
	return cmd
}

// dump writes the output of the action dump.
func (g *Global) dump(ctx context.Context, c *director.Client, what string, args []string, file string) (err error) {
	answer, err := c.Act(ctx, args[0], args[1], "dump", nil, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = answer.Close() }()
	to := g.out.Writer
	finish := func() error { return nil }
	if file != "" && file != "-" {
		part, err := os.OpenFile(file+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		to = part
		finish = func() error { return errors.Join(part.Sync(), part.Close(), os.Rename(file+".part", file)) }
		defer func() {
			if err != nil {
				_ = part.Close() // what is there of it is kept under its own name
			}
		}()
	}
	passed := &passing{progress: ui.NewProgress(g.err, what), from: answer}
	defer passed.progress.End()
	if _, err := io.Copy(to, passed); err != nil {
		return g.actionError(ctx, c, what, answer.Operation, err)
	}
	if err := finish(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func newMySQLLoadCommand(g *Global) *cobra.Command {
	var onlyNew bool
	cmd := &cobra.Command{
		Use:   "load-dump APPLICATION SERVICE FILE",
		Short: "Run the SQL of a dump",
		Long: `Run the SQL of a dump, which may be packed with gzip; FILE - is standard input. With --new it is done only while there is
no database yet, or only what an earlier command with --new has left that broke off.`,
		Example: `cps mysql load-dump shop mysql shop.sql
cps mysql load-dump shop mysql shop.sql.gz --new`,
		Args: words("APPLICATION", "SERVICE", "FILE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			params := url.Values{}
			if onlyNew {
				params.Set(api.ParamNew, "On")
			}
			return g.loadDump(ctx, c, args, params)
		}),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 2 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return g.complete(applicationNames, serviceNames)(cmd, args, toComplete)
		},
	}
	cmd.Flags().BoolVar(&onlyNew, "new", false, "do nothing where there is a database")
	return cmd
}

func (g *Global) loadDump(ctx context.Context, c *director.Client, args []string, params url.Values) error {
	what := fmt.Sprintf("load %s into service %q of application %q", args[2], args[1], args[0])
	from, size := g.system.Stdin, int64(0)
	if args[2] != "-" {
		file, err := os.Open(args[2])
		if err != nil {
			return usagef("load-dump: %w", err)
		}
		defer func() { _ = file.Close() }()
		info, err := file.Stat()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		from, size = file, info.Size()
	}
	passed := &passing{progress: ui.NewProgress(g.err, what), from: from, size: size}
	defer passed.progress.End()
	done, err := c.Act(ctx, args[0], args[1], "load-dump", params, unpacked(passed))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = done.Close() }()
	if _, err := io.Copy(io.Discard, done); err != nil {
		return g.actionError(ctx, c, what, done.Operation, err)
	}
	if done.Skipped != "" {
		return g.say(done.Operation, "Nothing was done: %s.", done.Skipped)
	}
	return g.say(done.Operation, "The dump is loaded (operation %s).", done.Operation)
}

// unpacked gives a text, unpacked where it is gzip. It can be closed while a Read of its source waits, which no file of a terminal or
// pipe lets itself be; the goroutine that reads is left behind then, and the program is about to end.
func unpacked(from io.Reader) io.ReadCloser {
	out, feed := io.Pipe()
	go func() {
		source := bufio.NewReaderSize(from, 64<<10)
		var err error
		if magic, _ := source.Peek(2); string(magic) == "\x1f\x8b" {
			var plain *gzip.Reader
			if plain, err = gzip.NewReader(source); err == nil {
				_, err = io.CopyBuffer(struct{ io.Writer }{feed}, plain, make([]byte, 64<<10))
			}
		} else {
			_, err = source.WriteTo(feed)
		}
		feed.CloseWithError(err) // nil is the whole end
	}()
	return out
}

// actionError gives the reason why an action has broken off, which its operation knows.
func (g *Global) actionError(ctx context.Context, c *director.Client, what string, id api.OperationID, err error) error {
	if op, asked := c.Operation(ctx, id); asked == nil && op.Error != nil {
		return failf(exitOperation, "%s: %w", what, op.Error)
	}
	return failf(exitUnavailable, "%s: it has broken off and is not complete: %w", what, err)
}

// passing tells how much has passed.
type passing struct {
	progress *ui.Progress
	from     io.Reader
	size     int64 // 0: it is not known
	done     int64
	told     time.Time
}

// Read implements io.Reader.
func (p *passing) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.done += int64(n)
	if now := time.Now(); now.Sub(p.told) >= refresh || err == io.EOF {
		p.told = now
		text := []string{ui.Size(p.done)}
		if p.size > 0 {
			text = append(text, "of", ui.Size(p.size))
		}
		p.progress.State(strings.Join(text, " "))
	}
	return n, err
}
