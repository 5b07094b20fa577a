// Program cpsimage makes the images that machines of ConPaaS start from.
package main

import (
	"context"
	"os"

	"conpaas/client/daemon"
	"conpaas/imagebuilder/command"
)

func main() {
	os.Exit(daemon.Run(func(ctx context.Context) error {
		return command.New(os.Stdout, os.Stderr).ExecuteContext(ctx)
	}))
}
