package command

import (
	"context"
	"fmt"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newMySQLStatusCommand(g *Global) *cobra.Command {
	return g.ofType(api.MySQL, &cobra.Command{
		Use:   "status APPLICATION SERVICE",
		Short: "Show what the databases say of themselves",
		Long: `Show what each machine's database says of itself: its state in the cluster in Galera's words (Synced: it has all the data), how many machines
the cluster has, how many changes wait to be applied there, how many statements it has been given since it was started, and the last
change that it has.`,
		Example: `cps mysql status shop mysql
cps mysql status shop mysql -o json`,
		Args: words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			list, err := factsOf[api.MySQLFacts](ctx, c, args[0], args[1], api.RoleMySQL)
			if err != nil {
				return fmt.Errorf("status of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(list, func() error { return databaseTable(list).Write(g.out) })
		}),
	})
}

func databaseTable(list []roleFacts[api.MySQLFacts]) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "node"},
		{Name: "state", Color: colorOf},
		{Name: "database"},
		{Name: "cluster", Right: true},
		{Name: "queue", Right: true},
		{Name: "queries", Right: true},
		{Name: "position"},
		{Name: "reason", Optional: true},
	}}
	for _, d := range list {
		t.Rows = append(t.Rows, []string{
			string(d.Node), string(d.State), d.Facts.State, strconv.Itoa(d.Facts.ClusterSize), strconv.Itoa(d.Facts.Queue),
			strconv.FormatUint(d.Facts.Queries, 10), d.Facts.Position, d.Reason,
		})
	}
	return t
}
