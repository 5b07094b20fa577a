package runc

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Config is a machine as a container.
type Config struct {
	Root      string // its root file system, already mounted
	TUN       string // a node of the TUN device that its root may open
	Code      string // folder that appears as CodeDir, for reading only; "" is none
	Hostname  string
	Args      []string // its first process, run as its root
	Env       []string
	Cgroup    string // path below the root of the hierarchies; "" is no control group, and no limits
	FirstID   uint32 // user and group id 0 of the machine, on the host; 0 is no user namespace of its own
	IDs       uint32 // how many ids it has
	MemoryMiB int64
	LimitSwap bool  // where the kernel counts swap
	CPUs      int64 // 0 is no limit
	Processes int64
}

// CodeDir is where user-data looks for the code before it downloads it.
const CodeDir = "/usr/share/conpaas/code"

// capabilities are what machines may do, in their own namespaces only: run services as other users, and bring up the
// overlay. NET_RAW is needed by Debian's ping, whose file asks for it.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_NET_ADMIN", "CAP_NET_RAW",
}

// The number of the TUN device.
const tunMajor, tunMinor = 10, 200

// MakeTUN makes a node of the TUN device that anybody may open who can reach it. The host's own node may be closed to
// all but the host's root, who a machine's root is not. One that exists stays.
func MakeTUN(path string) error {
	err := unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(tunMajor, tunMinor)))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make a node of the TUN device: %w", err)
	}
	return os.Chmod(path, 0o666)
}

// Spec gives the OCI configuration. It sets no process limits, because raising them needs a capability that a host may
// lack; what a machine may use is limited by its control group.
func (c Config) Spec() *specs.Spec {
	namespaces := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.NetworkNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.MountNamespace},
		{Type: specs.CgroupNamespace},
	}
	var ids []specs.LinuxIDMapping
	if c.FirstID != 0 {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		ids = []specs.LinuxIDMapping{{ContainerID: 0, HostID: c.FirstID, Size: c.IDs}}
	}
	return &specs.Spec{
		Version:  "1.0.2",
		Hostname: c.Hostname,
		Root:     &specs.Root{Path: c.Root},
		Process: &specs.Process{
			Args: c.Args, Env: c.Env, Cwd: "/", NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{Bounding: capabilities, Effective: capabilities, Permitted: capabilities},
		},
		Mounts: c.mounts(),
		Linux: &specs.Linux{
			UIDMappings: ids, GIDMappings: ids, CgroupsPath: c.Cgroup, Resources: c.resources(), Seccomp: seccomp(),
			Namespaces: namespaces,
			// /proc/sys cannot be written inside. Settings of the namespaces are copied from the host, so what matters is
			// set here: no routing between interfaces, replies to marked packets of the overlay accepted, ping for all.
			Sysctl: sysctls(c.IDs),
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi",
				"/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
}

// resources are the limits of the control group; nil where there is none.
func (c Config) resources() *specs.LinuxResources {
	if c.Cgroup == "" {
		return nil
	}
	major, minor := int64(tunMajor), int64(tunMinor)
	memory, processes := c.MemoryMiB<<20, c.Processes
	resources := &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{
			{Allow: false, Access: "rwm"},
			{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "rwm"},
		},
		Memory: &specs.LinuxMemory{Limit: &memory},
		Pids:   &specs.LinuxPids{Limit: &processes},
		CPU:    &specs.LinuxCPU{},
	}
	if c.LimitSwap {
		resources.Memory.Swap = &memory
	}
	if c.CPUs > 0 {
		period, quota := uint64(100_000), c.CPUs*100_000
		resources.CPU.Period, resources.CPU.Quota = &period, &quota
	}
	return resources
}

// mounts are the file systems that a machine has besides its root.
func (c Config) mounts() []specs.Mount {
	strict := []string{"nosuid", "noexec", "nodev"}
	tmpfs := func(at, size, mode string, options ...string) specs.Mount {
		return specs.Mount{Destination: at, Type: "tmpfs", Source: "tmpfs", Options: append(options, "size="+size, "mode="+mode)}
	}
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: strict},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append([]string{"ro"}, strict...)},
		tmpfs("/dev", "64k", "755", "nosuid", "strictatime"),
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		tmpfs("/dev/shm", "256m", "1777", strict...),
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: strict},
		tmpfs("/run", "64m", "755", "nosuid", "nodev"),
		{Destination: "/dev/net/tun", Type: "bind", Source: c.TUN, Options: []string{"bind", "rw", "nosuid", "noexec"}},
	}
	if c.Code != "" {
		list = append(list, specs.Mount{Destination: CodeDir, Type: "bind", Source: c.Code, Options: []string{"bind", "ro", "nosuid", "nodev"}})
	}
	return list
}

// Write writes the configuration into a bundle.
func (c Config) Write(bundle string) error {
	text, err := json.Marshal(c.Spec())
	if err != nil {
		return fmt.Errorf("write the configuration of a container: %w", err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600); err != nil {
		return fmt.Errorf("write the configuration of a container: %w", err)
	}
	return nil
}

// sysctls gives the settings of a machine's network. IPv6 stays on its loopback only: the cloud's network is IPv4.
func sysctls(ids uint32) map[string]string {
	settings := map[string]string{
		"net.ipv4.ip_forward":              "0",
		"net.ipv4.conf.all.rp_filter":      "2",
		"net.ipv4.conf.all.src_valid_mark": "1",
		"net.ipv4.ping_group_range":        "0 " + fmt.Sprint(ids-1),
		// Programs that ask for keepalive know within half a minute that the other machine is lost.
		"net.ipv4.tcp_keepalive_time": "15", "net.ipv4.tcp_keepalive_intvl": "5", "net.ipv4.tcp_keepalive_probes": "3",
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		settings["net.ipv6.conf.default.disable_ipv6"] = "1"
	}
	return settings
}
