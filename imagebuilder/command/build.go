package command

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"conpaas/imagebuilder/build"
	"conpaas/imagebuilder/recipe"
)

type buildOptions struct {
	recipe   string
	format   string
	services []string
	cache    string
	output   string
	mirror   string
	security string
	fresh    bool
}

func newBuildCommand() *cobra.Command {
	var o buildOptions
	c := &cobra.Command{
		Use:   "build",
		Short: "Make an image, or take it from the cache",
		Long: `Make an image and print the path of its file. The same image again comes from the cache at once; what counts is
the recipe, with the content that it puts into the image, and where the packages come from. Another format of the same
packages is made of the root file system that is kept. The packages are then as old as that: --fresh makes it anew,
with the newest security updates.

What to make is said by a recipe file (see: cpsimage init); flags go before it. Without one it is the root file system
of the local cloud's machines, with every service. Beside the image are FILE.packages, a line for each package with its
version and architecture, and FILE.spdx.json, the bill of materials (SPDX 2.3).

Packages come from where this host's apt takes them, or from --mirror.`,
		Example: `  cpsimage build
  cpsimage build --recipe conpaas.cfg
  cpsimage build --format oci --services php -o /srv/images/php.tar
  cpsimage build --services helloworld -o /srv/images/helloworld.tar.zst
  cpsimage build --mirror http://mirror.example.org/debian --fresh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := c.Flags()
	f.StringVarP(&o.recipe, "recipe", "r", "", "recipe file (default: none)")
	f.StringVar(&o.format, "format", "", "form of the image: "+strings.Join(formats(), ", ")+" (default: the recipe's, without one rootfs)")
	f.StringSliceVar(&o.services, "services", nil, "service types whose packages it holds (default: the recipe's, without one all)")
	f.StringVar(&o.cache, "cache", defaultCache(), "directory of finished images")
	f.StringVarP(&o.output, "output", "o", "", "copy the image to this file as well; one that ends in .tar.gz, .tar.xz or .tar.zst is packed")
	f.StringVar(&o.mirror, "mirror", "", "URL of a Debian mirror, like http://mirror.example.org/debian (default: the recipe's, without one this host's)")
	f.StringVar(&o.security, "security-mirror", "", "URL of its security updates (default: the mirror's with /debian-security)")
	f.BoolVar(&o.fresh, "fresh", false, "make it although the cache has it")
	for name, values := range map[string]func() []string{"format": formats, "services": services} {
		complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return values(), cobra.ShellCompDirectiveNoFileComp
		}
		if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // no such flag
		}
	}
	return c
}

// choices are those of the recipe file, with the flags before them.
func (o buildOptions) choices() (c recipe.Choices, err error) {
	c = recipe.Default()
	if o.recipe != "" {
		if c, err = recipe.ReadFile(o.recipe); err != nil {
			return recipe.Choices{}, err
		}
	}
	c.Format, c.Filename = cmp.Or(o.format, c.Format), cmp.Or(o.output, c.Filename)
	c.Mirror, c.SecurityMirror = cmp.Or(o.mirror, c.Mirror), cmp.Or(o.security, c.SecurityMirror)
	if len(o.services) > 0 {
		err = c.Only(o.services)
	}
	return c, err
}

func (o buildOptions) run(cmd *cobra.Command) error {
	c, err := o.choices()
	if err != nil {
		return err
	}
	if c.Nutshell && c.Programs == "" {
		own, err := os.Executable()
		if err != nil {
			return err
		}
		c.Programs = filepath.Dir(own)
	}
	r, err := c.Recipe()
	if err != nil {
		return err
	}
	sources, err := sources(cmd, c)
	if err != nil {
		return err
	}
	image, err := build.Build(cmd.Context(), r, build.Options{
		Cache: o.cache, Sources: sources, Fresh: o.fresh,
		Progress: func(p build.Progress) {
			fmt.Fprintf(cmd.ErrOrStderr(), "[%s] %s: %s\n", clock(p), r, p.Step)
		},
	})
	if err != nil {
		return err
	}
	if len(c.Off) == 0 && r.Architecture == runtime.GOARCH && r.Compression == "" && r.Nutshell == nil {
		if err := image.Newest(); err != nil {
			return err
		}
	}
	path := image.Path
	if c.Filename != "" {
		if err := image.Export(c.Filename); err != nil {
			return err
		}
		path = c.Filename
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
	return err
}

// clock tells how far a build is.
func clock(p build.Progress) string {
	text := fmt.Sprintf("%6.1f s", p.Elapsed.Seconds())
	if p.Expected > 0 {
		text += fmt.Sprintf(" of about %.0f s", p.Expected.Seconds())
	}
	return text
}

func sources(cmd *cobra.Command, c recipe.Choices) (build.Sources, error) {
	if c.Mirror != "" {
		return build.MirrorSources(c.Mirror, c.SecurityMirror)
	}
	sources, missing, err := build.HostSources("/etc/apt")
	if err != nil {
		return nil, err
	}
	switch {
	case c.SecurityMirror != "":
		return sources.WithSecurity(c.SecurityMirror)
	case missing != "":
		fmt.Fprintln(cmd.ErrOrStderr(), "cpsimage: warning:", missing)
	}
	return sources, nil
}
