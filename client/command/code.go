package command

import (
	"strings"

	"conpaas/client/api"

	"github.com/spf13/cobra"
)

// codeCommands gives the commands for uploaded code to the noun of a type that runs some.
func (g *Global) codeCommands(kind api.ServiceType) []*cobra.Command {
	all := []*cobra.Command{
		newUploadCodeCommand(g, kind), newListCodesCommand(g), newEnableCodeCommand(g), newDownloadCodeCommand(g, kind), newDeleteCodeCommand(g),
	}
	for _, cmd := range all {
		cmd.Example = strings.ReplaceAll(cmd.Example, " php", " "+string(kind))
	}
	return all
}
