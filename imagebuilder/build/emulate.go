package build

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"conpaas/imagebuilder/recipe"
)

//go:embed emulate.sh
var emulateScript string

// Where Linux and Debian have what is known of emulators.
const (
	binfmtRegistered = "/proc/sys/fs/binfmt_misc"
	binfmtLines      = "/usr/lib/binfmt.d"
)

// userIDs are those that a root file system may have; Debian's own end before.
const userIDs = 1 << 16

// kept finds the flag F of a registered emulator: it is opened once, so that it need not be inside a root file system.
var kept = regexp.MustCompile(`(?m)^flags: .*F`)

// emulator is what a build needs to run programs of the architecture of its recipe.
type emulator struct {
	line string // file with what is registered for the build alone; "": nothing, this host runs them
}

// findEmulator tells how this host runs programs of an architecture: by itself if it is its own or has an emulator registered, else by
// registering one for the build alone, which Linux lets everyone do since 6.7.
func findEmulator(ctx context.Context, wanted, own, registered, lines string) (emulator, error) {
	name := map[string]string{recipe.ARM64: "qemu-aarch64", recipe.AMD64: "qemu-x86_64"}[wanted]
	if wanted == own {
		return emulator{}, nil
	}
	text, err := os.ReadFile(path.Join(registered, name))
	if err == nil && bytes.HasPrefix(text, []byte("enabled")) && kept.Match(text) {
		return emulator{}, nil
	}
	e := emulator{line: path.Join(lines, name+".conf")}
	if _, err := os.Stat(e.line); err != nil {
		return e, fmt.Errorf("this host (%s) runs no programs of %s: %w; run: apt-get install qemu-user-static", own, wanted, err)
	}
	out, err := e.command(ctx, "true").CombinedOutput()
	if ctx.Err() != nil {
		return e, errInterrupted
	}
	if err != nil {
		return e, fmt.Errorf("this host (%s) runs no programs of %s, and an emulator for the build alone cannot be registered (%w: %s), which needs Linux 6.7; run as root: apt-get install binfmt-support qemu-user-static",
			own, wanted, err, strings.ReplaceAll(string(bytes.TrimSpace(out)), "\n", "; "))
	}
	return e, nil
}

// command is a program that can run others of the architecture. Where an emulator is registered for it alone, it is root of a user
// namespace.
func (e emulator) command(ctx context.Context, args ...string) *exec.Cmd {
	root := os.Geteuid() == 0
	if e.line != "" {
		args = append([]string{"sh", "-c", emulateScript, "emulate.sh", e.line}, args...)
		if !root {
			args = append([]string{"unshare", "--user", "--map-auto", "--map-root-user", "--mount", "--"}, args...)
		}
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{}
	switch {
	case root && e.line != "":
		same := []syscall.SysProcIDMap{{Size: userIDs}}
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
		c.SysProcAttr.UidMappings, c.SysProcAttr.GidMappings, c.SysProcAttr.GidMappingsEnableSetgroups = same, same, true
	case root:
		c.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS // no mount of a build that dies stays, nor is one removed into
	}
	return c
}

// mode is mmdebstrap's. As root of a user namespace it has processes of its own as an ordinary user's has.
func (e emulator) mode() string {
	if e.line == "" && os.Geteuid() == 0 {
		return "--mode=root"
	}
	return "--mode=unshare"
}

// emulatorOf is findEmulator for this host.
func emulatorOf(ctx context.Context, architecture string) (emulator, error) {
	return findEmulator(ctx, architecture, runtime.GOARCH, binfmtRegistered, binfmtLines)
}
