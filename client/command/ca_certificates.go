package command

import (
	"context"
	"fmt"
	"slices"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newCACertificatesCommand(g *Global) *cobra.Command {
	var q director.CertificateQuery
	var expiring string
	cmd := &cobra.Command{
		Use:   "certificates",
		Short: "List the certificates that the installation has issued, the first to end first",
		Long: `List the certificates of users, managers, agents and the director that open something now, or with --revoked
those that are revoked and would not have ended yet. Nodes and the director renew theirs by themselves.`,
		Example: `cps ca certificates
cps ca certificates --expiring 30d --role user
cps ca certificates --revoked -o json`,
		Args: words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			if expiring != "" {
				var err error
				if q.Expiring, err = days(expiring); err != nil {
					return usagef("ca certificates: --expiring %w", err)
				}
			}
			list, err := c.Certificates(ctx, q)
			if err != nil {
				return fmt.Errorf("list the certificates: %w", err)
			}
			slices.SortStableFunc(list, func(a, b api.Certificate) int { return a.Expires.Compare(b.Expires) })
			return g.show(list, func() error { return g.showCertificates(list) })
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&expiring, "expiring", "", "only those that end within a `time`, such as 30d or 12h")
	cmd.Flags().StringVar(&q.Role, "role", "", "only those of a `role`: user, manager, agent or director")
	cmd.Flags().BoolVar(&q.Revoked, "revoked", false, "those that are revoked")
	register(cmd, "role", cobra.FixedCompletions([]string{"user", "manager", "agent", "director"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (g *Global) showCertificates(list []api.Certificate) error {
	t := ui.Table{Columns: []ui.Column{
		{Name: "serial"},
		{Name: "role"},
		{Name: "user"},
		{Name: "node", Optional: true},
		{Name: "name", Optional: true},
		{Name: "expires"},
		{Name: "revoked", Optional: true},
		{Name: "reason", Optional: true},
	}}
	for _, c := range list {
		revoked := ""
		if c.Revoked != nil {
			revoked = at(*c.Revoked)
		}
		t.Rows = append(t.Rows, []string{c.Serial, c.Role, c.User, string(c.Node), c.Name, at(c.Expires), revoked, c.Reason})
	}
	return t.Write(g.out)
}
