package runc

import (
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// refused are system calls that no service needs and that reach parts of the kernel where faults are found, or that
// act on the whole host. Most need capabilities that machines lack; they are refused all the same.
var refused = []string{
	"acct", "add_key", "adjtimex", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module", "finit_module",
	"fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "init_module", "io_uring_enter", "io_uring_register",
	"io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mount",
	"mount_setattr", "move_mount", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open",
	"pivot_root", "query_module", "quotactl", "quotactl_fd", "reboot", "request_key", "setns", "settimeofday", "stime", "swapoff",
	"swapon", "syslog", "_sysctl", "umount", "umount2", "uselib", "userfaultfd", "ustat", "vhangup", "vm86", "vm86old",
}

// seccomp gives the filter: all calls are allowed but the refused ones, new user namespaces, and sockets of families
// other than local, IPv4, IPv6 and netlink.
func seccomp() *specs.LinuxSeccomp {
	eperm, enosys, family := uint(unix.EPERM), uint(unix.ENOSYS), uint(unix.EAFNOSUPPORT)
	deny := func(errno *uint, args []specs.LinuxSeccompArg, names ...string) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: names, Action: specs.ActErrno, ErrnoRet: errno, Args: args}
	}
	newUser := []specs.LinuxSeccompArg{{Index: 0, Value: unix.CLONE_NEWUSER, ValueTwo: unix.CLONE_NEWUSER, Op: specs.OpMaskedEqual}}
	rules := []specs.LinuxSyscall{
		deny(&eperm, nil, refused...),
		deny(&eperm, newUser, "clone", "unshare"),
		// The flags of clone3 are in memory, which a filter cannot read; without it programs use clone.
		deny(&enosys, nil, "clone3"),
	}
	for f := range uint64(unix.AF_PACKET + 1) {
		switch f {
		case unix.AF_UNSPEC, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
		default:
			rules = append(rules, deny(&family, []specs.LinuxSeccompArg{{Index: 0, Value: f, Op: specs.OpEqualTo}}, "socket"))
		}
	}
	rules = append(rules, deny(&family, []specs.LinuxSeccompArg{{Index: 0, Value: unix.AF_PACKET, Op: specs.OpGreaterThan}}, "socket"))
	return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: architectures(), Syscalls: rules}
}

// architectures are the forms in which the processor takes system calls; calls in any other form end the process.
func architectures() []specs.Arch {
	switch runtime.GOARCH {
	case "amd64":
		return []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
	case "arm64":
		return []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
	return nil
}
