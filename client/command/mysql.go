package command

import "github.com/spf13/cobra"

func newMySQLCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "mysql",
		Short: "Commands for services of type mysql",
		Long:  `A service of type mysql keeps databases.`,
	}, newMySQLDumpCommand(g), newMySQLLoadCommand(g), newMySQLPasswordCommand(g))
}
