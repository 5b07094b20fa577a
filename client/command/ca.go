package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/director"
	"conpaas/client/login"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newCACommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "ca",
		Short: "Show and rotate the certificate authority of the installation",
		Long: `The certificate authority (CA) vouches for the director and for every node. It is replaced without a
break: a new one is made, nodes learn to trust it, it signs and nodes renew their certificates, and
when all have done so the old one can be retired. For administrators.`,
	},
		newCAShowCommand(g), newCARotateCommand(g), newCARetireCommand(g), newCACertificatesCommand(g),
	)
}

func newCAShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the certificate authorities and how far a rotation has come",
		Example: `cps ca show`,
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			state, err := c.CA(ctx)
			if err != nil {
				return fmt.Errorf("show the certificate authorities: %w", err)
			}
			return g.showCA(state)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func newCARotateCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Make a new certificate authority, which takes the place of the present one step by step",
		Long: `Make a new certificate authority. Nodes learn to trust it, then it signs and they renew their
certificates; both happens without a break and by itself, and cps ca show tells how far it is. The
director goes on to show a certificate of the old authority until cps ca retire, so that everybody
who has been away finds it. Every cps command that is run until then learns to trust the new one.`,
		Example: `cps ca rotate`,
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			state, err := c.RotateCA(ctx)
			if err != nil {
				return fmt.Errorf("rotate the certificate authority: %w", err)
			}
			return g.showCA(state)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func newCARetireCommand(g *Global) *cobra.Command {
	var in api.CARetire
	var yes bool
	cmd := &cobra.Command{
		Use:   "retire",
		Short: "End a rotation: trust only the new certificate authority",
		Long: `End a rotation: only the new certificate authority is trusted from now on, and the key of the old one
is destroyed. That is refused while nodes have not renewed their certificates, unless it is forced:
those cannot reach the director any more and are replaced. So it is while the old one vouches for
certificates of users; by force those end. People who have not used cps since the
rotation began log in again, with the new CA certificate or its fingerprint.`,
		Example: "cps ca retire --yes\ncps ca retire --force --yes",
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			err := g.confirm(ctx, yes, "retire the old certificate authority", "Who does not know the new one has to log in again.")
			if err != nil {
				return err
			}
			state, err := c.RetireCA(ctx, in)
			if err != nil {
				return fmt.Errorf("retire the old certificate authority: %w", err)
			}
			return g.showCA(state)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&in.Force, "force", false, "although nodes still wait, which are replaced, or certificates of users are left, which end")
	yesFlag(cmd, &yes)
	return cmd
}

func (g *Global) showCA(state api.CAState) error {
	return g.show(state, func() error {
		fields := ui.Fields{{Name: "Step", Value: string(state.Step)}, {Name: "Waiting", Value: strconv.Itoa(state.Waiting)}}
		if len(state.Nodes) > 0 {
			fields = append(fields, ui.Field{Name: "For", Value: nodeList(state.Nodes, state.Waiting)})
		}
		if state.Users > 0 {
			fields = append(fields, ui.Field{Name: "Users", Value: fmt.Sprintf("%d certificates of the old authority", state.Users)})
		}
		if err := fields.Write(g.out); err != nil {
			return err
		}
		t := ui.Table{Columns: []ui.Column{{Name: "fingerprint"}, {Name: "created"}, {Name: "ends"}, {Name: "does"}}}
		for _, a := range state.Authorities {
			does := []string{"trusted"}
			if a.Signs {
				does = append(does, "signs")
			}
			if a.Serves {
				does = append(does, "vouches for the director")
			}
			t.Rows = append(t.Rows, []string{a.Fingerprint, at(a.Created), at(a.Ends), strings.Join(does, ", ")})
		}
		return t.Write(g.out)
	})
}

func nodeList(nodes []api.NodeID, all int) string {
	names := make([]string, len(nodes))
	for i, id := range nodes {
		names[i] = string(id)
	}
	text := strings.Join(names, ", ")
	if all > len(nodes) {
		text += ", …"
	}
	return text
}

// renewCA keeps the CA certificates that are in force now, where the director has said that they are others than those
// of the last login. They come over a connection that the known ones vouch for. That it does not work is no reason for
// the command to fail: the next one tries again.
func (g *Global) renewCA(ctx context.Context, c *director.Client) {
	at, err := g.connection()
	if err != nil || g.trustedFrom != at.home.Path(login.FileCA) || at.login.Settings.Director != c.URL() || !c.Outdated() {
		return
	}
	now, err := c.Authority(ctx)
	if err == nil {
		err = daemon.WriteFile(at.home.Path(login.FileCA), now.PEM, 0o644)
	}
	if err != nil {
		fmt.Fprintln(g.err, ui.Clean(fmt.Sprintf("cps: the new CA certificates of the director could not be kept: %v", err)))
	}
}
