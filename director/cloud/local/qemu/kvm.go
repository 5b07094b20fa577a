package qemu

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// byKVM are the arguments of a machine that the host's processor runs.
var byKVM = []string{"-accel", "kvm", "-cpu", "host"}

// tryTime is the limit of the trial; it takes less than a second.
const tryTime = 20 * time.Second

// KVM is nil where the host's processor can run machines, and says else why they are emulated. It makes an empty machine,
// since there are hosts that have the device and fail.
func KVM(ctx context.Context) error {
	const device = "/dev/kvm"
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("this host's processor is %s", runtime.GOARCH)
	}
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_ = f.Close()
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	c := exec.CommandContext(ctx, Program, append([]string{"-nodefaults", "-no-user-config", "-display", "none", "-S", "-machine", "q35", "-m", "16", "-qmp", "stdio"}, byKVM...)...)
	c.Stdin = strings.NewReader(`{"execute":"qmp_capabilities"}{"execute":"quit"}`)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Run(); err != nil {
		first, _, _ := strings.Cut(said.String(), "\n")
		return fmt.Errorf("%s cannot be used: %w: %s", device, err, first)
	}
	return nil
}
