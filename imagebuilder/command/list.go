package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"conpaas/client/api"
	"conpaas/client/ui"
	"conpaas/imagebuilder/build"
	"conpaas/imagebuilder/recipe"
)

func newListCommand() *cobra.Command {
	var cache, output string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the images in the cache, the newest first",
		Long: `List the images in the cache, those with the newest packages first. With -o json or yaml also the digest of each
image, and the paths of its manifest (name, version and architecture of each package) and of its bill of materials
(SPDX 2.3), which lie beside it as KEY.packages and KEY.spdx.json.`,
		Example: "  cpsimage list\n  cpsimage list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, ok := map[string]func([]build.Image) error{
				"table": func(list []build.Image) error {
					return table(list).Write(ui.NewScreen(cmd.OutOrStdout(), os.Getenv))
				},
				"json": func(list []build.Image) error { return ui.WriteJSON(cmd.OutOrStdout(), list) },
				"yaml": func(list []build.Image) error { return ui.WriteYAML(cmd.OutOrStdout(), list) },
			}[output]
			if !ok {
				return fmt.Errorf("unknown form %q: use table, json or yaml", output)
			}
			list, err := build.List(cache)
			if err != nil {
				return err
			}
			return write(list)
		},
	}
	c.Flags().StringVar(&cache, "cache", defaultCache(), "directory of finished images")
	c.Flags().StringVarP(&output, "output", "o", "table", "form of the list: table, json or yaml")
	return c
}

func table(list []build.Image) ui.Table {
	t := ui.Table{Columns: []ui.Column{{Name: "format"}, {Name: "architecture"}, {Name: "services"}, {Name: "packages", Right: true}, {Name: "size", Right: true}, {Name: "created"}, {Name: "path"}}}
	for _, image := range list {
		names := make([]string, len(image.Services))
		for i, s := range image.Services {
			names[i] = string(s)
		}
		if image.Nutshell {
			names = append(names, "in a nutshell")
		}
		size := fmt.Sprintf("%.0f MiB", float64(image.Size)/(1<<20))
		t.Rows = append(t.Rows, []string{
			string(image.Format), image.Architecture, strings.Join(names, ","), strconv.Itoa(image.Installed), size,
			image.Created.Local().Format(time.DateTime), image.Path,
		})
	}
	return t
}

func formats() []string {
	var out []string
	for _, f := range recipe.Formats() {
		out = append(out, string(f))
	}
	return out
}

func services() []string {
	var out []string
	for _, kind := range api.Catalogue() {
		out = append(out, string(kind.Type))
	}
	return out
}
