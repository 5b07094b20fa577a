package command

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

type execOptions struct {
	stdin, raw bool
	timeout    time.Duration
}

func newNodeExecCommand(g *Global) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec NODE -- COMMAND…",
		Short: "Run a command on a machine, as root and without a shell",
		Long: `Run a command on a machine, as root and without a shell, and show its output as it comes. The exit
status is that of the command.`,
		Example: `cps node exec n12 -- uname -a
cps node exec n12 --stdin -- tee /etc/motd`,
		Args: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash < 0 && len(args) > 1 || dash > 1 {
				return usagef("%s: put -- between the node and the command: %s NODE -- COMMAND", name(cmd), cmd.CommandPath())
			}
			if dash == 0 {
				return usagef("%s: NODE is missing; see: %s --help", name(cmd), cmd.CommandPath())
			}
			if len(args) == 1 {
				return usagef("%s: COMMAND is missing; see: %s --help", name(cmd), cmd.CommandPath())
			}
			return words("NODE")(cmd, args[:min(len(args), 1)])
		},
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in := api.ExecRequest{Command: args[1:], Timeout: int(math.Ceil(o.timeout.Seconds()))}
			if o.stdin {
				data, err := g.readInput()
				if err != nil {
					return err
				}
				in.Stdin = data
			}
			return g.exec(ctx, c, api.NodeID(args[0]), in, o.raw)
		}),
		Annotations:       map[string]string{plainText: "true"},
		ValidArgsFunction: g.complete(nodeIDs),
	}
	cmd.Flags().BoolVarP(&o.stdin, "stdin", "i", false, "give the command the standard input, at most 512 KiB")
	cmd.Flags().DurationVar(&o.timeout, "timeout", time.Minute, "end the command after this `time`, at most 1h")
	rawFlag(cmd, &o.raw)
	return cmd
}

func (g *Global) readInput() ([]byte, error) {
	const most = 512 << 10
	data, err := io.ReadAll(io.LimitReader(g.system.Stdin, most+1))
	if err != nil {
		return nil, fmt.Errorf("read the standard input: %w", err)
	}
	if len(data) > most {
		return nil, usagef("the standard input has more than %d KiB; send less, or let the node fetch it", most>>10)
	}
	return data, nil
}

func (g *Global) exec(ctx context.Context, c *director.Client, node api.NodeID, in api.ExecRequest, raw bool) error {
	stdout, stderr := g.out.Text(), g.err.Text()
	if raw {
		stdout, stderr = g.out.Writer, g.err.Writer
	}
	for frame, err := range c.Exec(ctx, node, in) {
		switch {
		case err != nil:
			return fmt.Errorf("run %q on node %q: %w", in.Command[0], node, err)
		case frame.Error != "":
			return fmt.Errorf("run %q on node %q: %s", in.Command[0], node, frame.Error)
		}
		if _, err := stdout.Write(frame.Stdout); err != nil {
			return err
		}
		if _, err := stderr.Write(frame.Stderr); err != nil {
			return err
		}
		if frame.Exit != nil && *frame.Exit != 0 {
			return &failure{status: *frame.Exit}
		}
		if frame.Exit != nil {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failf(exitUnavailable, "run %q on node %q: the connection ended before the command did; it may go on", in.Command[0], node)
}
