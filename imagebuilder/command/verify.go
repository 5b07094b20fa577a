package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"conpaas/imagebuilder/verify"
)

type verifyOptions struct {
	firmware string
	director string
	timeout  time.Duration
}

// firmwares are the values of --firmware.
var firmwares = []string{"both", string(verify.BIOS), string(verify.UEFI)}

func newVerifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Boot an image for real, until a manager on it has joined a director",
		Long: `Boot an image for real. A director of its own is started on this host, with a local cloud whose machines boot the
image; an application is started there, and the image is good when the application's manager has fetched its code, joined
and connected. Nothing stays on the host.

A disk image (raw, qcow2, vdi or ova) boots by its own loader in a virtual machine, under SeaBIOS and then under OVMF. The
root file system of a container (tar, lxc or oci; plain or packed by gzip, xz or zstd) boots as a container. Both work for an
ordinary user as well; what this host lacks is named. An image for another processor than this host's is refused.

The exit code is 0 only when the image has joined every time.`,
		Example: "  cpsimage verify conpaas.qcow2\n  cpsimage verify --firmware uefi --timeout 3m conpaas.raw\n  cpsimage verify rootfs.tar.xz",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.firmware, "firmware", firmwares[0], "firmware that a disk image boots under: "+strings.Join(firmwares, ", "))
	f.StringVar(&o.director, "director", "", "the program cpsdirector, with cpsmanager and cpsagent beside it (default: beside cpsimage, or in PATH)")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long each boot may take")
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return firmwares, cobra.ShellCompDirectiveNoFileComp
	}
	if err := c.RegisterFlagCompletionFunc("firmware", complete); err != nil {
		panic(err) // no such flag
	}
	return c
}

func (o verifyOptions) run(cmd *cobra.Command, path string) error {
	under := map[string][]verify.Firmware{"both": {verify.BIOS, verify.UEFI}, "bios": {verify.BIOS}, "uefi": {verify.UEFI}}[o.firmware]
	if under == nil {
		return fmt.Errorf("unknown firmware %q: use %s", o.firmware, strings.Join(firmwares, ", "))
	}
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout %s: it must be above 0", o.timeout)
	}
	image, err := verify.Open(cmd.Context(), path)
	if err != nil {
		return err
	}
	if !image.Disk {
		if cmd.Flags().Changed("firmware") {
			return fmt.Errorf("%s is the root file system of a container, which has no firmware; leave out --firmware", path)
		}
		under = []verify.Firmware{verify.None}
	}
	director, err := findDirector(o.director)
	if err != nil {
		return err
	}
	for _, f := range under {
		begun := time.Now()
		result, err := verify.Run(cmd.Context(), image, verify.Options{
			Director: director, Firmware: f, Timeout: o.timeout,
			Step: func(text string) {
				fmt.Fprintf(cmd.ErrOrStderr(), "[%6.1f s] %s: %s\n", time.Since(begun).Seconds(), f, text)
			},
		})
		if err != nil {
			return fmt.Errorf("%s, %s: %w", path, f, err)
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: joined %.1f s after power-on, connected after %.1f s\n", f, result.Joined.Seconds(), result.Ready.Seconds()); err != nil {
			return err
		}
	}
	return nil
}

// findDirector finds the program of the director.
func findDirector(named string) (string, error) {
	const name = "cpsdirector"
	if named != "" {
		return filepath.Abs(named)
	}
	if own, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(own), name)
		if info, err := os.Stat(beside); err == nil && !info.IsDir() {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("an image is verified by a director, and the program cpsdirector is neither beside cpsimage nor in PATH; name it by --director")
	}
	return filepath.Abs(found)
}
