package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newCloudCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "cloud",
		Short: "Show and check the clouds that machines can be on",
		Long:  `The clouds are configured by the director's administrator; the one called default is used where none is named.`,
	},
		newCloudListCommand(g), newCloudShowCommand(g), newCloudCheckCommand(g), newCloudImagesCommand(g), newCloudImageCommand(g), newCloudResourcesCommand(g),
	)
}

func newCloudListCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the clouds",
		Example: `cps cloud list`,
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			clouds, err := c.Clouds(ctx)
			if err != nil {
				return fmt.Errorf("list the clouds: %w", err)
			}
			return g.show(clouds, func() error {
				t := ui.Table{Columns: []ui.Column{{Name: "name"}, {Name: "kind"}, {Name: "nodes", Right: true}}}
				for _, cloud := range clouds {
					t.Rows = append(t.Rows, []string{cloud.Name, cloud.Kind, strconv.Itoa(cloud.Nodes)})
				}
				return t.Write(g.out)
			})
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func newCloudShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show CLOUD",
		Short:   "Show a cloud with its settings",
		Example: `cps cloud show default`,
		Args:    words("CLOUD"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			cloud, err := c.Cloud(ctx, args[0])
			if err != nil {
				return fmt.Errorf("show cloud %q: %w", args[0], err)
			}
			return g.show(cloud, func() error {
				fields := ui.Fields{
					{Name: "Name", Value: cloud.Name}, {Name: "Kind", Value: cloud.Kind}, {Name: "Nodes", Value: strconv.Itoa(cloud.Nodes)},
				}
				if cloud.Isolation != "" {
					fields = append(fields, ui.Field{Name: "Isolation", Value: cloud.Isolation})
				}
				for _, name := range slices.Sorted(maps.Keys(cloud.Options)) {
					fields = append(fields, ui.Field{Name: name, Value: cloud.Options[name]})
				}
				return fields.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(cloudNames),
	}
}

func newCloudCheckCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "check CLOUD",
		Short:   "Try whether a cloud can be used; the exit status is 1 when it cannot",
		Long:    "Try whether a cloud can be used, and name what is wrong with it. Only administrators may: it uses the cloud, and shows how the director's host is made.",
		Example: `cps cloud check default`,
		Args:    words("CLOUD"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			checks, err := c.CheckCloud(ctx, args[0])
			if err != nil {
				return fmt.Errorf("check cloud %q: %w", args[0], err)
			}
			if err := g.show(checks, func() error { return checkTable(checks).Write(g.out) }); err != nil {
				return err
			}
			bad := 0
			for _, check := range checks {
				if !check.OK {
					bad++
				}
			}
			if bad > 0 {
				return failf(exitFailed, "check cloud %q: %d of %d checks found something wrong", args[0], bad, len(checks))
			}
			return nil
		}),
		ValidArgsFunction: g.complete(cloudNames),
	}
}

// newCloudResourcesCommand is where the original tools list machines.
func newCloudResourcesCommand(g *Global) *cobra.Command {
	cmd := flat(newNodeListCommand(g), "resources [APPLICATION]", "cps cloud resources", asGiven)
	cmd.Aliases = []string{"list-resources"}
	return cmd
}

func checkTable(checks []api.Check) ui.Table {
	color := func(value string) ui.Color {
		if value == "ok" {
			return ui.Good
		}
		return ui.Bad
	}
	t := ui.Table{Columns: []ui.Column{{Name: "check"}, {Name: "result", Color: color}, {Name: "detail"}}}
	for _, check := range checks {
		result := "ok"
		if !check.OK {
			result = "WRONG"
		}
		t.Rows = append(t.Rows, []string{check.Name, result, check.Detail})
	}
	return t
}

// cloudFlag adds --cloud, -c as in the original tools.
func (g *Global) cloudFlag(cmd *cobra.Command, to *string, help string) {
	cmd.Flags().StringVarP(to, "cloud", "c", "", help+"; its `name`")
	register(cmd, "cloud", g.completeFlag(cloudNames))
}
