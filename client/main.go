// Command cps is the command line client of ConPaaS: cps help tells what it can do.
//
// It must not know more than the director's routes for people; those are behind client/director.
package main

import (
	"os"

	"conpaas/client/command"
)

func main() {
	os.Exit(command.Main())
}
