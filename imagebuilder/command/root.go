// Package command is the command line of cpsimage.
//
// It must not know how images are made: it reads flags, calls imagebuilder/build and shows what came of it.
package command

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
)

// New gives the command cpsimage. Results go to out, progress to err.
func New(out, err io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "cpsimage",
		Short: "Make the images that machines of ConPaaS start from",
		Long: `cpsimage makes the images that machines of ConPaaS start from. An image holds the distribution and the
packages of the services; the code of ConPaaS is fetched by each machine at its first boot.

The exit code is 0 when the image is there and 1 when it is not.`,
		Version:       daemon.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(out)
	root.SetErr(err)
	root.AddCommand(newInitCommand(), newBuildCommand(), newVerifyCommand(), newPublishCommand(), newListCommand())
	return root
}

// defaultCache is where images are kept unless --cache says otherwise.
func defaultCache() string {
	if os.Geteuid() != 0 {
		if dir, err := os.UserCacheDir(); err == nil {
			return filepath.Join(dir, "cpsimage")
		}
	}
	return "/var/cache/cpsimage"
}
