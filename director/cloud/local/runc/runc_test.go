package runc_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/runc"
	"conpaas/director/cloud/local/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var config = runc.Config{
	Root: "/run/root", TUN: "/run/tun", Hostname: "n1", Args: []string{"/bin/sh", "x"}, Env: []string{"A=b"}, Cgroup: "/g/n1",
	FirstID: 1_900_000_000, IDs: 65536, MemoryMiB: 64, CPUs: 2, Processes: 50,
}

// TestSpec holds the configuration to what keeps a machine in its place.
func TestSpec(t *testing.T) {
	s := config.Spec()
	for _, kind := range []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.UserNamespace, specs.CgroupNamespace,
	} {
		if !slices.Contains(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind}) {
			t.Errorf("there is no %s namespace of its own", kind)
		}
	}
	for _, never := range []string{"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE", "CAP_MKNOD", "CAP_SYS_RESOURCE", "CAP_DAC_READ_SEARCH", "CAP_BPF"} {
		if slices.Contains(s.Process.Capabilities.Bounding, never) {
			t.Errorf("%s is allowed", never)
		}
	}
	if len(s.Process.Capabilities.Ambient)+len(s.Process.Capabilities.Inheritable) != 0 || !s.Process.NoNewPrivileges || len(s.Process.Rlimits) != 0 {
		t.Errorf("the process may gain rights or has limits: %+v", s.Process)
	}
	if r := s.Linux.Resources; *r.Memory.Limit != 64<<20 || r.Memory.Swap != nil || *r.Pids.Limit != 50 || *r.CPU.Quota != 200_000 || *r.CPU.Period != 100_000 {
		t.Errorf("the limits are %+v", r)
	}
	if d := s.Linux.Resources.Devices; len(d) != 2 || d[0].Allow || d[0].Access != "rwm" || d[0].Major != nil || *d[1].Major != 10 || *d[1].Minor != 200 {
		t.Errorf("the devices are %+v", d)
	}
	swap, free := config, config
	swap.LimitSwap, free.CPUs = true, 0
	if *swap.Spec().Linux.Resources.Memory.Swap != 64<<20 || free.Spec().Linux.Resources.CPU.Quota != nil {
		t.Error("swap is not limited, or processors are though nobody asked")
	}
}

// TestSeccomp asks the filter about system calls and families of sockets.
func TestSeccomp(t *testing.T) {
	filter := config.Spec().Linux.Seccomp
	if filter.DefaultAction != specs.ActAllow || len(filter.Architectures) == 0 {
		t.Errorf("the default is %s on %v", filter.DefaultAction, filter.Architectures)
	}
	answer := func(name string, arg uint64) unix.Errno {
		for _, r := range filter.Syscalls {
			if !slices.Contains(r.Names, name) || r.Action != specs.ActErrno {
				continue
			}
			match := true
			for _, a := range r.Args {
				switch a.Op {
				case specs.OpEqualTo:
					match = match && arg == a.Value
				case specs.OpGreaterThan:
					match = match && arg > a.Value
				case specs.OpMaskedEqual:
					match = match && arg&a.Value == a.ValueTwo
				default:
					t.Fatalf("unknown operator %s", a.Op)
				}
			}
			if match {
				return unix.Errno(*r.ErrnoRet)
			}
		}
		return 0
	}
	for _, c := range []struct {
		name string
		arg  uint64
		want unix.Errno
	}{
		{"read", 0, 0},
		{"execve", 0, 0},
		{"ptrace", 0, 0},
		{"chroot", 0, 0},
		{"mount", 0, unix.EPERM},
		{"bpf", 0, unix.EPERM},
		{"kexec_load", 0, unix.EPERM},
		{"io_uring_setup", 0, unix.EPERM},
		{"keyctl", 0, unix.EPERM},
		{"setns", 0, unix.EPERM},
		{"open_by_handle_at", 0, unix.EPERM},
		{"unshare", unix.CLONE_NEWUSER, unix.EPERM},
		{"unshare", unix.CLONE_NEWUSER | unix.CLONE_NEWNET, unix.EPERM},
		{"unshare", unix.CLONE_FS, 0},
		{"clone", unix.CLONE_NEWUSER | uint64(unix.SIGCHLD), unix.EPERM},
		{"clone", uint64(unix.SIGCHLD), 0},
		{"clone3", 0, unix.ENOSYS},
		{"socket", unix.AF_UNIX, 0},
		{"socket", unix.AF_INET, 0},
		{"socket", unix.AF_INET6, 0},
		{"socket", unix.AF_NETLINK, 0},
		{"socket", unix.AF_PACKET, unix.EAFNOSUPPORT},
		{"socket", unix.AF_VSOCK, unix.EAFNOSUPPORT},
		{"socket", unix.AF_ALG, unix.EAFNOSUPPORT},
		{"socket", unix.AF_XDP, unix.EAFNOSUPPORT},
		{"socket", unix.AF_AX25, unix.EAFNOSUPPORT},
		{"socket", unix.AF_KEY, unix.EAFNOSUPPORT},
		{"socket", 1 << 32, unix.EAFNOSUPPORT},
	} {
		if got := answer(c.name, c.arg); got != c.want {
			t.Errorf("%s(%#x) gives %v, want %v", c.name, c.arg, got, c.want)
		}
	}
}

// TestCommands finds and stops the commands of one runtime, for one container or all, and no others.
func TestCommands(t *testing.T) {
	r, other := runc.Runtime{State: filepath.Join(t.TempDir(), "runc")}, runc.Runtime{State: filepath.Join(t.TempDir(), "runc")}
	// A program that looks like runc and waits until it is killed.
	begin := func(r runc.Runtime, id string) task.Task {
		t.Helper()
		c := exec.Command("/bin/sh", "-c", "read forever", "--root", r.State, "create", id)
		pipe, err := c.StdinPipe()
		if err := errors.Join(err, c.Start()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = errors.Join(pipe.Close(), c.Wait()) })
		p, err := task.Of(c.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b, foreign := begin(r, "a"), begin(r, "b"), begin(other, "a")
	if found, err := r.Commands("a"); err != nil || !slices.Equal(found, []task.Task{a}) {
		t.Errorf("found %v, %v; want %v", found, err, a)
	}
	if err := r.Stop(t.Context(), "a"); err != nil || a.Alive() || !b.Alive() || !foreign.Alive() {
		t.Errorf("stopped a: %v", err)
	}
	if err := r.Stop(t.Context(), ""); err != nil || b.Alive() || !foreign.Alive() {
		t.Errorf("stopped all: %v", err)
	}
}

// TestWrong: what runc refuses is told in its own words, and a missing runc with the remedy.
func TestWrong(t *testing.T) {
	bundle := t.TempDir()
	wrong := config
	wrong.Root = "/missing/root"
	if err := wrong.Write(bundle); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	var written specs.Spec
	if err := errors.Join(err, json.Unmarshal(text, &written)); err != nil || written.Root.Path != wrong.Root {
		t.Errorf("written was %s, %v", text, err)
	}
	console, err := os.Create(filepath.Join(bundle, "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	r := runc.Runtime{State: filepath.Join(t.TempDir(), "runc")}
	if p, err := r.Create(t.Context(), "n1", bundle, console); !errors.Is(err, runc.ErrRefused) {
		t.Errorf("created %v, %v", p, err)
	}
	if r.Created("n1") {
		t.Error("the refused container is created")
	}
	t.Setenv("PATH", bundle)
	if _, err := r.Create(t.Context(), "n1", bundle, console); !errors.Is(err, runc.ErrMissing) {
		t.Errorf("without runc: %v", err)
	}
	if _, _, err := runc.Program(t.Context()); !errors.Is(err, runc.ErrMissing) {
		t.Errorf("without runc: %v", err)
	}
}
