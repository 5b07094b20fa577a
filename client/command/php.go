package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newPHPCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   string(api.PHP),
		Short: "Commands for services of type php",
		Long: `A service of type php runs a PHP program behind HAProxy and nginx. Its code is uploaded in versions, of which
one is enabled: that one gets the requests.

The commands of cps service are here, too, for services of this type only.`,
	}, slices.Concat(g.inherited(api.PHP), g.codeCommands(api.PHP), []*cobra.Command{
		newConfigCommand(g, api.PHP, "PHP", `cps php config shop php
cps php config shop php memory_limit=256M max_execution_time=60
cps php config shop php disable_functions=exec,passthru`),
		newPHPDebugCommand(g),
	})...)
}

// newConfigCommand shows the settings of services of a type, or changes them.
func newConfigCommand(g *Global, kind api.ServiceType, of, example string) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:     "config APPLICATION SERVICE [NAME=VALUE…]",
		Aliases: []string{"get-" + string(kind) + "-config"},
		Short:   "Show the settings of " + of + ", or change some of them",
		Long: "Show the settings of " + of + `, or change those that are named.

` + settingsTable(kind),
		Example: example,
		Args: func(cmd *cobra.Command, args []string) error {
			return words("APPLICATION", "SERVICE")(cmd, args[:min(len(args), 2)])
		},
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if len(args) == 2 {
				return g.showConfig(ctx, c, args)
			}
			settings, err := assignments("", args[2:])
			if err != nil {
				return err
			}
			what := fmt.Sprintf("change settings of service %q of application %q", args[1], args[0])
			op, err := c.Configure(ctx, args[0], args[1], settings)
			return g.await(ctx, c, what, op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
	wait.flags(cmd)
	return cmd
}

// settingsTable lists the settings of a type for a help text.
func settingsTable(t api.ServiceType) string {
	kind, _ := api.FindServiceKind(t)
	var b strings.Builder
	for _, s := range kind.Settings {
		fmt.Fprintf(&b, "  %s=%s  %s\n", s.Name, s.Default, settingHelp(s))
	}
	return b.String()
}

func settingHelp(s api.Setting) string {
	switch s.Kind {
	case api.SettingNumber, api.SettingSize:
		return fmt.Sprintf("%s (%s to %s)", s.Help, s.Min, s.Max)
	case api.SettingSwitch:
		return s.Help + " (On or Off)"
	case api.SettingNames:
		return s.Help + " (names with commas between them)"
	}
	return s.Help
}

// assignments reads words such as name=value; flag is the one that they belong to, in errors.
func assignments(flag string, words []string) (map[string]string, error) {
	settings := map[string]string{}
	for _, text := range words {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("%s%q: it must be NAME=VALUE", flag, text)
		}
		settings[name] = value
	}
	return settings, nil
}

func (g *Global) showConfig(ctx context.Context, c *director.Client, args []string) error {
	s, err := c.Service(ctx, args[0], args[1])
	if err != nil {
		return fmt.Errorf("show the settings of service %q of application %q: %w", args[1], args[0], err)
	}
	return g.show(s.Settings, func() error {
		var fields ui.Fields
		for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
			value := s.Settings[name]
			if value == "" {
				value = "-"
			}
			fields = append(fields, ui.Field{Name: name, Value: value})
		}
		return fields.Write(g.out)
	})
}

func newPHPDebugCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:     "debug APPLICATION SERVICE on|off",
		Short:   "Let pages show the errors of the program, or not",
		Long:    `Let pages show the errors of the program (setting display_errors), or not. Visitors see them, too.`,
		Example: `cps php debug shop php on`,
		Args:    words("APPLICATION", "SERVICE", "on|off"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			value, ok := map[string]string{"on": "On", "off": "Off"}[strings.ToLower(args[2])]
			if !ok {
				return usagef("php debug: %q: it must be on or off", args[2])
			}
			return g.showErrors(ctx, c, args, value, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames, func(context.Context, *director.Client, []string) ([]cobra.Completion, error) {
			return []cobra.Completion{"on", "off"}, nil
		}),
	}
	wait.flags(cmd)
	return cmd
}

// showErrors switches debugging of a service On or Off.
func (g *Global) showErrors(ctx context.Context, c *director.Client, args []string, value string, wait waitOptions) error {
	what := fmt.Sprintf("switch debugging of service %q of application %q %s", args[1], args[0], strings.ToLower(value))
	op, err := c.Configure(ctx, args[0], args[1], map[string]string{"display_errors": value})
	return g.await(ctx, c, what, op, err, wait)
}

// errShort is the end of a download before its time.
var errShort = errors.New("the archive has ended too early; try again")

// copyArchive writes an archive of size bytes.
func copyArchive(to io.Writer, from io.Reader, size int64) error {
	n, err := io.Copy(to, from)
	if err == nil && n != size {
		err = errShort
	}
	return err
}
