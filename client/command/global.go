package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"conpaas/client/daemon"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// Global is what all commands share: the streams, the flags that every command has, and the director.
type Global struct {
	system   System
	out, err ui.Screen
	prompt   *ui.Prompt

	directorURL string
	username    string
	password    string
	conf        string
	confFile    string
	output      string
	debug       bool

	code        string // of the second factor
	loggingIn   bool
	connected   *director.Client   // that commands use, once there is one
	passing     *director.Client   // whose login ends with the program
	trusted     director.Authority // the CA of the client in use, for the text of a refusal
	trustedFrom string             // the file or place that it came from
}

func newGlobal(s System) *Global {
	g := &Global{system: s, out: ui.NewScreen(s.Stdout, s.Getenv), err: ui.NewScreen(s.Stderr, s.Getenv)}
	g.prompt = ui.NewPrompt(s.Stdin, g.err)
	return g
}

// The forms of output.
const (
	formTable = "table"
	formJSON  = "json"
	formYAML  = "yaml"
)

func (g *Global) flags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&g.directorURL, "director", "", "the director's `URL`; scheme and port may be left out")
	flags.StringVar(&g.username, "username", "", "the user's `name`")
	flags.StringVar(&g.password, "password", "", "the user's `password`; other users of this machine can see it: cps help files has better ways")
	flags.StringVar(&g.conf, "conf", "", "the `folder` with login and settings (default $CONPAAS_HOME or ~/.conpaas)")
	flags.StringVar(&g.confFile, "conf-file", "", "a configuration `file`, instead of those of cps help files")
	flags.StringVarP(&g.output, "output", "o", formTable, "the `form` of what is shown: table, json or yaml")
	flags.BoolVarP(&g.debug, "debug", "d", false, "show the requests that are made, on standard error")
	register(root, "output", cobra.FixedCompletions([]string{formTable, formJSON, formYAML}, cobra.ShellCompDirectiveNoFileComp))
}

func (g *Global) checkOutput(cmd *cobra.Command) error {
	switch g.output {
	case formTable:
	case formJSON, formYAML:
		if cmd.Annotations[plainText] != "" {
			return usagef("%s: it shows text as it is, there is no %s form", name(cmd), g.output)
		}
	default:
		return usagef("--output %q: the forms are table, json and yaml", g.output)
	}
	return nil
}

// plainText marks a command whose output has no form.
const plainText = "plain-text"

// show writes v as a document, or what table draws.
func (g *Global) show(v any, table func() error) error {
	switch g.output {
	case formJSON:
		return ui.WriteJSON(g.out, v)
	case formYAML:
		return ui.WriteYAML(g.out, v)
	}
	return table()
}

// say is show for a command whose success is one sentence.
func (g *Global) say(v any, format string, args ...any) error {
	return g.show(v, func() error {
		_, err := fmt.Fprintln(g.out, ui.Clean(fmt.Sprintf(format, args...)))
		return err
	})
}

func (g *Global) dial(url string, ca director.Authority, from string, kept credential) (*director.Client, error) {
	g.trusted, g.trustedFrom = ca, from
	log := slog.New(slog.DiscardHandler)
	if g.debug {
		log = daemon.Logger(g.err, slog.LevelDebug, false)
	}
	return director.New(director.Config{URL: url, CA: ca.PEM, Token: kept.token, Key: kept.key, Log: log})
}

// action is the body of a command that talks to the director.
type action func(ctx context.Context, c *director.Client, args []string) error

// run makes an action a cobra RunE.
func (g *Global) run(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := g.authorized(cmd.Context())
		if err != nil {
			return err
		}
		err = do(cmd.Context(), c, args)
		g.renewCA(cmd.Context(), c)
		g.renewKey(cmd.Context(), c)
		return err
	}
}

// confirm asks whether something that cannot be undone is meant.
func (g *Global) confirm(ctx context.Context, yes bool, what, consequence string) error {
	if yes {
		return nil
	}
	sure, err := g.prompt.Confirm(ctx, fmt.Sprintf("%s? %s", capital(what), consequence))
	switch {
	case errors.Is(err, ui.ErrNoTerminal):
		return usagef("%s: there is no terminal to ask whether you are sure; pass --yes", what)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case !sure:
		return failf(exitFailed, "%s: not confirmed, nothing was done", what)
	}
	return nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// words checks the arguments of a command against their names; those in brackets may be absent.
func words(expected ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for i, word := range expected {
			optional := strings.HasPrefix(word, "[")
			switch {
			case i >= len(args) && !optional:
				return usagef("%s: %s is missing; see: %s --help", name(cmd), word, cmd.CommandPath())
			case i < len(args) && args[i] == "":
				return usagef("%s: %s is empty", name(cmd), strings.Trim(word, "[]"))
			}
		}
		if len(args) > len(expected) {
			return usagef("%s: there is an argument too many: %q; see: %s --help", name(cmd), args[len(expected)], cmd.CommandPath())
		}
		return nil
	}
}

// register sets the completion of a flag, which must exist.
func register(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(fmt.Sprintf("completion of --%s of %s: %v", flag, cmd.CommandPath(), err))
	}
}
