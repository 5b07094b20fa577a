package command

import (
	"fmt"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// versions is what cps version shows.
type versions struct {
	Client   api.Version  `json:"client"`
	Director *api.Version `json:"director,omitempty"`
	URL      string       `json:"url,omitempty"`
}

func newVersionCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the versions of cps and of the director",
		Example: `cps version -o json`,
		Args:    words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versions{Client: api.Version{Version: daemon.Version, Protocol: api.Protocol}}
			c, err := g.client()
			if err == nil {
				v.URL = c.URL()
				var answer api.Version
				if answer, err = c.Version(cmd.Context()); err == nil {
					v.Director = &answer
				} else {
					err = fmt.Errorf("ask %s for its version: %w", v.URL, err)
				}
			} else if exitStatus(cmd.Context(), err) == exitRefused { // no director is known: nothing is wrong
				err = nil
			}
			shown := g.show(v, func() error {
				fields := ui.Fields{{Name: "cps", Value: v.Client.Version}}
				if v.Director != nil {
					fields = append(fields, ui.Field{Name: "director", Value: v.Director.Version + " at " + v.URL})
				}
				return fields.Write(g.out)
			})
			if shown != nil {
				return shown
			}
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

// newDirectorCommand is where the original tools show the director's version.
func newDirectorCommand(g *Global) *cobra.Command {
	version := newVersionCommand(g)
	version.Example = `cps director version`
	return group(&cobra.Command{Use: "director", Short: "Show the director's version"}, version)
}
