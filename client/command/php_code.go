package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newListCodesCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "list-codes APPLICATION SERVICE",
		Aliases: []string{"list-uploads"},
		Short:   "List the versions of the code",
		Example: `cps php list-codes shop php`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			versions, err := c.CodeVersions(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("list the code versions of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(versions, func() error { return codeTable(versions).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}

func codeTable(versions []api.CodeVersion) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "version"},
		{Name: "state", Color: colorOf},
		{Name: "created"},
		{Name: "size", Right: true},
		{Name: "file"},
		{Name: "description", Optional: true},
		{Name: "reason", Optional: true},
	}}
	for _, v := range versions {
		size := ""
		if v.Size > 0 {
			size = strconv.FormatInt(v.Size, 10)
		}
		t.Rows = append(t.Rows, []string{v.ID, codeState(v), at(v.Created), size, v.Filename, v.Description, v.Reason})
	}
	return t
}

// The states of code versions, as tables show them.
const (
	stateEnabled     = "enabled"
	stateToBeEnabled = "to be enabled"
	stateRefused     = "refused"
)

func codeState(v api.CodeVersion) string {
	switch {
	case v.Enabled:
		return stateEnabled
	case v.Wanted:
		return stateToBeEnabled
	case v.Reason != "":
		return stateRefused
	}
	return ""
}

func newEnableCodeCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:   "enable-code APPLICATION SERVICE VERSION",
		Short: "Use another version of the code",
		Long: `Use another version of the code. Every machine checks it first; where one refuses it, the old version goes on and the
reason is told.`,
		Example: `cps php enable-code shop php code-default`,
		Args:    words("APPLICATION", "SERVICE", "VERSION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("enable code version %s of service %q of application %q", args[2], args[1], args[0])
			op, err := c.EnableCode(ctx, args[0], args[1], args[2])
			return g.await(ctx, c, what, op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames, codeVersions),
	}
	wait.flags(cmd)
	return cmd
}

// codeVersions completes a version of the service before it.
func codeVersions(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	versions, err := c.CodeVersions(ctx, args[0], args[1])
	var names []cobra.Completion
	for _, v := range versions {
		names = append(names, described(v.ID, v.Filename+" "+v.Description))
	}
	return names, err
}

func newDownloadCodeCommand(g *Global, kind api.ServiceType) *cobra.Command {
	var to, version string
	cmd := &cobra.Command{
		Use:   "download-code APPLICATION SERVICE [VERSION]",
		Short: "Download the archive of a version, by default of the enabled one",
		Long: `Download the archive of a version as it was uploaded, by default that of the enabled one. Without -O it gets the
version's name and is not written over a file that is there.`,
		Example: `cps php download-code shop php
cps php download-code shop php code-abc234 -O shop.tar.gz`,
		Args: words("APPLICATION", "SERVICE", "[VERSION]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("download code of service %q of application %q", args[1], args[0])
			if version != "" {
				if len(args) > 2 {
					return usagef("download-code: name the version once, as an argument or with --version")
				}
				args = append(args, version)
			}
			versions, err := c.CodeVersions(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			i := slices.IndexFunc(versions, func(v api.CodeVersion) bool {
				if len(args) > 2 {
					return v.ID == args[2]
				}
				return v.Enabled
			})
			if i < 0 && len(args) > 2 {
				return fmt.Errorf("%s: %w", what, api.Errorf(api.CodeNotFound, "there is no version %q; see: cps %s list-codes %s %s", args[2], kind, args[0], args[1]))
			} else if i < 0 {
				return fmt.Errorf("%s: no version is enabled", what)
			}
			file, err := g.download(ctx, c, args, versions[i], to)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if to == "-" {
				return nil
			}
			return g.say(versions[i], "Code version %s is in %s.", versions[i].ID, file)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames, codeVersions),
	}
	cmd.Flags().StringVarP(&version, "version", "v", "", "the `version`, as the argument")
	cmd.Flags().StringVarP(&to, "output-document", "O", "", "the `file` to write, - for standard output")
	return cmd
}

// download writes the archive of a version into a file, and gives the file's name. Of a download that breaks off
// nothing is left.
func (g *Global) download(ctx context.Context, c *director.Client, args []string, v api.CodeVersion, to string) (name string, err error) {
	body, err := c.DownloadCode(ctx, args[0], args[1], v.ID)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	if to == "-" {
		return "", copyArchive(g.system.Stdout, body, v.Size)
	}
	name, mode := to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	if name == "" {
		name = filepath.Base(v.ID + "." + v.Format)
		mode |= os.O_EXCL
	}
	file, err := os.OpenFile(name, mode, 0o644)
	if errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("%s is there already; name a file with -O", name)
	} else if err != nil {
		return "", err
	}
	if err = errors.Join(copyArchive(file, body, v.Size), file.Close()); err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return name, err
}

func newDeleteCodeCommand(g *Global) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete-code APPLICATION SERVICE VERSION",
		Short:   "Delete a version of the code that is not enabled",
		Example: `cps php delete-code shop php code-abc234 --yes`,
		Args:    words("APPLICATION", "SERVICE", "VERSION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("delete code version %s of service %q of application %q", args[2], args[1], args[0])
			if err := g.confirm(ctx, yes, what, "Its archive is deleted, too."); err != nil {
				return err
			}
			if err := c.DeleteCode(ctx, args[0], args[1], args[2]); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return g.say(struct {
				ID string `json:"id"`
			}{args[2]}, "Code version %s is deleted.", args[2])
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames, codeVersions),
	}
	yesFlag(cmd, &yes)
	return cmd
}
