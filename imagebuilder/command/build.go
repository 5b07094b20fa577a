package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"conpaas/imagebuilder/build"
	"conpaas/imagebuilder/recipe"
)

type buildOptions struct {
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
the format, the services with their packages, and where the packages come from. Its packages are then as old as the
image: --fresh makes it anew, with the newest security updates.

Packages come from where this host's apt takes them, or from --mirror.`,
		Example: `  cpsimage build --format rootfs
  cpsimage build --services helloworld -o /srv/images/helloworld.tar
  cpsimage build --mirror http://mirror.example.org/debian --fresh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", string(recipe.FormatRootFS), "form of the image: rootfs, a tar archive of a root file system")
	f.StringSliceVar(&o.services, "services", nil, "service types whose packages it holds (default: all)")
	f.StringVar(&o.cache, "cache", defaultCache(), "directory of finished images")
	f.StringVarP(&o.output, "output", "o", "", "copy the image to this file as well")
	f.StringVar(&o.mirror, "mirror", "", "URL of a Debian mirror, like http://mirror.example.org/debian")
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

func (o buildOptions) run(cmd *cobra.Command) error {
	r, err := recipe.New(o.format, o.services)
	if err != nil {
		return err
	}
	sources, err := o.sources(cmd)
	if err != nil {
		return err
	}
	image, err := build.Build(cmd.Context(), r, build.Options{
		Cache: o.cache, Sources: sources, Fresh: o.fresh,
		Progress: func(elapsed time.Duration, step string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "[%6.1f s] %s: %s\n", elapsed.Seconds(), r, step)
		},
	})
	if err != nil {
		return err
	}
	if len(o.services) == 0 {
		if err := image.Newest(); err != nil {
			return err
		}
	}
	path := image.Path
	if o.output != "" {
		if err := image.Export(o.output); err != nil {
			return err
		}
		path = o.output
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
	return err
}

func (o buildOptions) sources(cmd *cobra.Command) (build.Sources, error) {
	if o.mirror != "" {
		return build.MirrorSources(o.mirror, o.security)
	}
	sources, missing, err := build.HostSources("/etc/apt")
	if err != nil {
		return nil, err
	}
	switch {
	case o.security != "":
		return sources.WithSecurity(o.security)
	case missing != "":
		fmt.Fprintln(cmd.ErrOrStderr(), "cpsimage: warning:", missing)
	}
	return sources, nil
}
