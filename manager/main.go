// Cpsmanager is the manager of ConPaaS: one runs for every application, plans what its machines do and tells their
// agents. All of it is in package command.
package main

import (
	"os"

	"conpaas/client/daemon"
	"conpaas/manager/command"
)

func main() {
	os.Exit(daemon.Run(command.Execute))
}
