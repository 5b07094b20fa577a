package command

import (
	"conpaas/client/api"

	"github.com/spf13/cobra"
)

func newMySQLCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   string(api.MySQL),
		Short: "Commands for services of type mysql",
		Long: `A service of type mysql keeps databases in a MariaDB cluster, all of whose machines have all the data. Programs
connect to port 3306 as user mysqldb.

The commands of cps service are here, too, for services of this type only.`,
	}, append(g.inherited(api.MySQL), newMySQLStatusCommand(g), newMySQLDumpCommand(g), newMySQLLoadCommand(g), newMySQLPasswordCommand(g))...)
}
