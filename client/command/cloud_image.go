package command

import (
	"context"
	"fmt"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newCloudImagesCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "images CLOUD",
		Short: "List the images that machines of a cloud can start from",
		Long: `List the images of a cloud: those that were published to it, and what else it has of this installation.
Only administrators may. An image that is unknown is the rest of a publication that broke off; one that
is missing is not in the cloud any more.`,
		Example: `cps cloud images default`,
		Args:    words("CLOUD"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			images, err := c.Images(ctx, args[0])
			if err != nil {
				return fmt.Errorf("list the images of cloud %q: %w", args[0], err)
			}
			return g.show(images, func() error {
				t := ui.Table{Columns: []ui.Column{
					{Name: "id"}, {Name: "name"}, {Name: "format"}, {Name: "size", Right: true}, {Name: "services"}, {Name: "created"}, {Name: "state"},
				}}
				for _, i := range images {
					t.Rows = append(t.Rows, []string{i.ID, i.Name, string(i.Format), ui.Size(i.Size), serviceNamesOf(i), at(i.Created), imageState(i)})
				}
				return t.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(cloudNames),
	}
}

// imageState tells whether an image is in use, else how it stands.
func imageState(i api.Image) string {
	if i.Current && i.State == api.ImageAvailable {
		return "used for new machines"
	}
	return string(i.State)
}

func serviceNamesOf(i api.Image) string {
	names := make([]string, len(i.Services))
	for n, s := range i.Services {
		names[n] = string(s)
	}
	return strings.Join(names, ",")
}

func newCloudImageCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "image",
		Short: "Show, choose and remove the images of a cloud",
		Long: `Images are made and published by cpsimage. New machines of a cloud start from the one that is chosen, or
from what the settings of the cloud say where none is. For administrators.`,
	},
		newImageShowCommand(g), newImageUseCommand(g), newImageRemoveCommand(g),
	)
}

func newImageShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show CLOUD IMAGE",
		Short:   "Show an image",
		Example: `cps cloud image show default image-1f2e3d4c5b6a7988`,
		Args:    words("CLOUD", "IMAGE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			i, err := c.Image(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("show image %q of cloud %q: %w", args[1], args[0], err)
			}
			return g.show(i, func() error {
				return ui.Fields{
					{Name: "ID", Value: i.ID},
					{Name: "Name", Value: i.Name},
					{Name: "State", Value: imageState(i)},
					{Name: "Format", Value: string(i.Format)},
					{Name: "Architecture", Value: i.Architecture},
					{Name: "Size", Value: ui.Size(i.Size)},
					{Name: "SHA-256", Value: i.SHA256},
					{Name: "Services", Value: serviceNamesOf(i)},
					{Name: "Version", Value: i.Version},
					{Name: "Created", Value: at(i.Created)},
					{Name: "By", Value: i.By},
				}.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(cloudNames, imageNames),
	}
}

func newImageUseCommand(g *Global) *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use:   "use CLOUD [IMAGE]",
		Short: "Let new machines of a cloud start from an image",
		Long: `Let new machines of a cloud start from an image, or with --none from what the settings of the cloud say.
Machines that there are go on as they are.`,
		Example: "cps cloud image use default image-1f2e3d4c5b6a7988\ncps cloud image use default --none",
		Args:    words("CLOUD", "[IMAGE]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			image := ""
			if len(args) > 1 {
				image = args[1]
			}
			if none == (image != "") {
				return usagef("use an image: name one, or pass --none; see: cps cloud images %s", args[0])
			}
			if err := c.UseImage(ctx, args[0], image); err != nil {
				return fmt.Errorf("use image %q of cloud %q: %w", image, args[0], err)
			}
			if none {
				return g.say(api.ImageUse{}, "New machines of cloud %s start from what its settings say.", args[0])
			}
			return g.say(api.ImageUse{Image: image}, "New machines of cloud %s start from image %s.", args[0], image)
		}),
		ValidArgsFunction: g.complete(cloudNames, imageNames),
	}
	cmd.Flags().BoolVar(&none, "none", false, "start from what the settings of the cloud say")
	return cmd
}

func newImageRemoveCommand(g *Global) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "remove CLOUD IMAGE",
		Aliases: []string{"rm", "delete"},
		Short:   "Remove an image from a cloud",
		Long:    "Remove an image from a cloud. One that new machines start from, or that machines of the cloud need, is kept.",
		Example: `cps cloud image remove default image-1f2e3d4c5b6a7988 --yes`,
		Args:    words("CLOUD", "IMAGE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("remove image %q of cloud %q", args[1], args[0])
			if err := g.confirm(ctx, yes, what, "It has to be published again."); err != nil {
				return err
			}
			if err := c.RemoveImage(ctx, args[0], args[1]); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return g.say(api.ImageUse{Image: args[1]}, "Image %s has been removed.", args[1])
		}),
		ValidArgsFunction: g.complete(cloudNames, imageNames),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func imageNames(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	images, err := c.Images(ctx, args[0])
	var names []cobra.Completion
	for _, i := range images {
		names = append(names, described(i.ID, i.Name))
	}
	return names, err
}
