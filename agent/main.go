// Cpsagent is the agent of ConPaaS: one runs on every machine of a service, makes the machine what its manager says,
// and keeps it so. All of it is in package command.
package main

import (
	"os"

	"conpaas/agent/command"
	"conpaas/client/daemon"
)

func main() {
	os.Exit(daemon.Run(command.Execute))
}
