package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/runc"
	"conpaas/director/cloud/local/userns"
)

// mode is all that differs between a director that is root, and one of an ordinary user that is root of a user
// namespace only (package userns).
type mode struct {
	wrong     string                          // why there can be no machines at all
	isolation string                          // how machines are kept from the host and from each other
	limits    bool                            // machines have control groups, which hold and limit them
	ids       func(first uint32) rootfs.Range // that machines run as
	run       func(name, dir string) string   // where the roots of machines appear
	tun       func(dir string) string         // the node of the TUN device that machines get
	makeTUN   func(path string) error
	checkTUN  func(dir string) error
	epoch     string // names, beside the host's boot, what machines cannot outlive
	check     func(ctx context.Context, c *Cloud) []api.Check
}

// ids is how many user and group ids machines have.
const ids = 1 << 16

// currentMode gives the mode of this process.
func currentMode(runtime string) mode {
	place, inside := userns.Inside()
	switch {
	case !userns.Ordinary():
		return rootMode()
	case runtime == RuntimeProcess:
		return userMode(place, "RUNTIME process needs root: only control groups hold such machines together")
	case !inside:
		return userMode(place, "an ordinary user's machines need a user namespace, and this program has not entered one")
	}
	return userMode(place, "")
}

func rootMode() mode {
	return mode{
		isolation: "machines run as ids of their own, in user namespaces and control groups",
		limits:    true,
		ids:       func(first uint32) rootfs.Range { return rootfs.Range{First: first, Size: ids} },
		run:       func(name, _ string) string { return filepath.Join("/run", name) }, // where users without rights can come to
		tun:       func(dir string) string { return filepath.Join(dir, "tun") },
		makeTUN:   runc.MakeTUN,
		checkTUN:  checkTUN,
		check: func(_ context.Context, c *Cloud) []api.Check {
			return []api.Check{
				{Name: "root", OK: true, Detail: "runs as root: " + c.Isolation()},
				verdict("control groups", c.checkGroups, "memory, processors and processes can be limited"),
			}
		},
	}
}

func userMode(place userns.Place, wrong string) mode {
	const device = "/dev/net/tun"
	return mode{
		wrong: wrong,
		isolation: "weaker than root's: machines run as the user who runs the director, all with the same ids, in one user namespace; " +
			"memory, processors and processes are not limited",
		ids:      func(uint32) rootfs.Range { return rootfs.Range{First: 0, Size: ids} },
		run:      func(_, dir string) string { return filepath.Join(dir, "roots") },
		tun:      func(string) string { return device }, // nobody but root can make a node of it
		makeTUN:  func(string) error { return nil },
		checkTUN: func(string) error { return checkDevice(device) },
		epoch:    fmt.Sprintf(" %d-%d", place.Holder.PID, place.Holder.Start),
		check: func(ctx context.Context, c *Cloud) []api.Check {
			if wrong != "" {
				return []api.Check{{Name: "ordinary user", Detail: wrong}}
			}
			return append(userns.Checks(ctx),
				api.Check{Name: "ordinary user", OK: true, Detail: c.Isolation()},
				verdict("namespace", func() error { return checkHolder(place) }, "outlives the director"),
			)
		},
	}
}

// checkHolder looks for the process without which machines lose their network when the director ends.
func checkHolder(p userns.Place) error {
	if !p.Holder.Alive() {
		return fmt.Errorf("process %d, which keeps it, was ended; restart the director: machines boot again", p.Holder.PID)
	}
	return nil
}

// checkDevice opens the device, which hosts may have closed to ordinary users.
func checkDevice(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w; as root: modprobe tun; chmod 0666 %s", path, err, path)
	}
	return unix.Close(fd)
}

// Isolation says how machines are kept from the host and from each other.
func (c *Cloud) Isolation() string {
	switch c.set.runtime {
	case RuntimeProcess:
		return "none: machines are processes of the host"
	case RuntimeVM:
		rights := "without rights"
		if !c.mode.limits {
			rights = "with the rights of the user who runs the director"
		}
		return "machines are virtual, each in a process of qemu " + rights + ", with a system call filter and no network but its own"
	}
	return c.mode.isolation
}

// cgroup gives the control group of a machine, "" where there are none.
func (m mode) cgroup(path string) string {
	if m.limits {
		return path
	}
	return ""
}

// usable refuses to work in this mode where that is not possible, or would take machines of another mode for its own.
func (c *Cloud) usable(op string) error {
	if c.mode.wrong != "" {
		return c.wrong(op, "%s", c.mode.wrong)
	}
	var dir unix.Stat_t
	if err := unix.Stat(c.at.dir, &dir); err == nil && int(dir.Uid) != os.Geteuid() {
		return c.wrong(op, "%s belongs to user %d; run this as that user", c.at.dir, dir.Uid)
	}
	return nil
}

// enter brings the program of an ordinary user to where containers can be. It is the Enter of the driver.
func enter(ctx context.Context, dir string, options map[string]string) (func(context.Context) ([]string, error), error) {
	if options["RUNTIME"] == RuntimeProcess {
		return nil, nil
	}
	if err := userns.Enter(ctx, dir); err != nil {
		return nil, err
	}
	if !userns.Ordinary() {
		return nil, nil
	}
	return userns.Leave, nil
}

// unlimited refuses settings that cannot be kept without control groups.
func (m mode) unlimited(values, defaults map[string]string) error {
	if m.limits {
		return nil
	}
	names := []string{"MEMORY_MIB", "CPUS", "PROCESSES", "FIRST_ID"}
	if values["RUNTIME"] == RuntimeVM { // an emulator gives no more than it has been given
		names = names[2:]
	}
	for _, name := range names {
		if values[name] != defaults[name] {
			return fmt.Errorf("%s = %s cannot be kept: the director of an ordinary user has no control groups and no ids of the host; leave it out, or run the director as root", name, values[name])
		}
	}
	return nil
}

// defaultRootFS is where cpsimage leaves its newest image of the user.
func defaultRootFS() string {
	if cache, err := os.UserCacheDir(); err == nil && userns.Ordinary() {
		return filepath.Join(cache, "cpsimage", "rootfs.tar")
	}
	return "/var/cache/cpsimage/rootfs.tar"
}
