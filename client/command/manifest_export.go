package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/manifest"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newApplicationExportCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "export APPLICATION [FOLDER]",
		Short: "Write the manifest of an application",
		Long: `Write the manifest of an application, JSON or with -o yaml YAML. With FOLDER it is written there, as manifest.json or manifest.yaml, with the code
and the start-up scripts beside it. Secrets are masked: where such a manifest is applied they stay as they are, or
are made anew. What is in databases is not part of it: see cps mysql dump.`,
		Example: `cps application export shop
cps application export shop ./shop -o yaml`,
		Args: words("APPLICATION", "[FOLDER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			live, a, err := liveApplication(ctx, c, args[0])
			if err == nil && live == nil {
				err = api.Errorf(api.CodeNotFound, "there is none")
			}
			if err != nil {
				return fmt.Errorf("export application %q: %w", args[0], err)
			}
			e := exporter{client: c, application: a.ID.String(), live: live}
			if len(args) > 1 {
				e.folder = args[1]
				if err := os.MkdirAll(e.folder, 0o755); err != nil {
					return usagef("export application %q: %w", args[0], err)
				}
			}
			for i := range live.Services {
				if err := e.service(ctx, &live.Services[i]); err != nil {
					return fmt.Errorf("export service %q of application %q: %w", live.Services[i].Name, args[0], err)
				}
			}
			return g.writeManifest(live.Manifest, e.folder)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
}

func (g *Global) writeManifest(m manifest.Manifest, folder string) error {
	write, name := m.JSON, "manifest.json"
	if g.output == formYAML {
		write, name = m.YAML, "manifest.yaml"
	}
	text, err := write()
	if err != nil {
		return err
	}
	if folder == "" {
		_, err = g.out.Write(text)
		return err
	}
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintln(g.err, ui.Clean("The manifest is "+path))
	return err
}

// exporter names the files of a manifest by what is in them, and writes them where there is a folder.
type exporter struct {
	client      *director.Client
	application string
	folder      string // "": the files are only named
	live        *manifest.Live
}

func (e *exporter) service(ctx context.Context, s *manifest.Service) error {
	if e.live.Scripts[s.Name] != "" {
		s.StartupScript = fileName(s.Name) + "-startup"
		if e.folder != "" {
			script, err := e.client.Script(ctx, e.application, s.Name)
			if err == nil {
				err = writeNew(filepath.Join(e.folder, s.StartupScript), strings.NewReader(script.Script.Reveal()))
			}
			if err != nil {
				return err
			}
		}
	}
	sum := e.live.Archives[s.Name]
	if sum == "" {
		return nil
	}
	id := e.live.Versions[s.Name][sum]
	versions, err := e.client.CodeVersions(ctx, e.application, s.Name)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.ID == id {
			s.Archive = fmt.Sprintf("%s-%.12s.%s", fileName(s.Name), sum, v.Format)
		}
	}
	if e.folder == "" {
		return nil
	}
	body, err := e.client.DownloadCode(ctx, e.application, s.Name, id)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return writeNew(filepath.Join(e.folder, s.Archive), body)
}

// fileName makes of a service's name one that every file system takes.
func fileName(name string) string { return strings.ReplaceAll(name, " ", "-") }

// writeNew writes a file wholly or not at all.
func writeNew(path string, from io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".cps-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
