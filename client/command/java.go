package command

import (
	"slices"

	"conpaas/client/api"

	"github.com/spf13/cobra"
)

func newJavaCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   string(api.Java),
		Short: "Commands for services of type java",
		Long: `A service of type java runs a Java program (a .war file, or an archive of what is in one) in Tomcat behind HAProxy and
nginx. Its code is uploaded in versions, of which one is enabled: that one gets the requests.

The commands of cps service are here, too, for services of this type only.`,
	}, slices.Concat(g.inherited(api.Java), g.codeCommands(api.Java), []*cobra.Command{
		newConfigCommand(g, api.Java, "Tomcat", `cps java config shop java
cps java config shop java max_heap=512M request_timeout=120`),
	})...)
}
