package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/cgroup"
	"conpaas/director/cloud/local/task"
	"conpaas/director/cloud/local/userns"
)

// TestInside asks a machine what it is and what it may do.
func TestInside(t *testing.T) {
	t.Parallel()
	options, user := map[string]string{"MEMORY_MIB": "64", "CPUS": "1", "PROCESSES": "50"}, `0 1900000000 65536`
	_, ordinary := userns.Inside()
	if ordinary { // one that is root of a user namespace
		options, user = nil, `0 \d+ 1 1 \d+ 65535`
	}
	c := configuration(t, options)
	// Everything above the machines is closed to others, as a director's state directory is.
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	c.Dir = filepath.Join(closed, "cloud")
	l := start(t, c)
	m := launch(
		t, l, "Node.1-1",
		"echo pid $$", "echo name $(hostname) $(cat /etc/hostname)", "echo hosts $(cat /etc/hosts)", "echo resolver $(grep -v '^#' /etc/resolv.conf)",
		"echo environment $container $HOME $PATH", "echo user $(id -u) $(cat /proc/self/uid_map)",
		"grep -E 'CapBnd|CapEff|CapPrm|CapInh|CapAmb|Seccomp:|NoNewPrivs' /proc/self/status",
		"unshare -U true 2>&1; echo new user namespace $?", "mount -t tmpfs none /tmp 2>&1; echo mount $?",
		"echo 1 > /proc/sys/net/ipv4/ip_forward; echo sysctl $?", "echo forward $(cat /proc/sys/net/ipv4/ip_forward)",
		"cat /dev/mem > /dev/null 2>&1; echo memory device $?", "stat -c 'tun %a %t %T' /dev/net/tun", "(exec 9<>/dev/net/tun); echo open $?", "tunctl -t tun7 && ip link set tun7 up; echo tunctl $?",
		"echo x > /etc/mine && echo wrote $(stat -c %u:%g /etc/mine)", "echo out >> /dev/stdout; echo stdout $?",
		"arping -c 1 -w 1 -I eth0 10.210.0.1 2>&1; echo packet socket $?", "ip addr show eth0 | grep inet; ping -c 1 -w 5 10.210.0.1 | grep received",
		"echo done",
	)
	text := printed(t, l, m.ID, "done")
	for _, want := range []string{
		`pid 1`, `name node-1-1 node-1-1`, `hosts 127\.0\.0\.1 localhost .* ` + regexp.QuoteMeta(m.Address.String()) + ` node-1-1`, `resolver`,
		`environment conpaas /root /usr/local/sbin:.*:/bin`, `user 0 ` + user,
		// CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN NET_RAW SYS_CHROOT
		`CapInh:\s0+`, `CapPrm:\s00000000000435fb`, `CapEff:\s00000000000435fb`, `CapBnd:\s00000000000435fb`, `CapAmb:\s0+`, `NoNewPrivs:\s1`, `Seccomp:\s2`,
		`new user namespace 1`, `mount [1-9]\d*`, `sysctl [1-9]\d*`, `forward 0`, `memory device [1-9]\d*`, `tun 666 a c8`, `open 0`, `tunctl 0`, `wrote 0:0`, `out`, `stdout 0`,
		`.*Address family not supported.*`, `packet socket [1-9]\d*`, `.*inet 10\.210\.0\.2/16.*`, `1 packets transmitted, 1 packets received.*`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `\s*$`).MatchString(text) {
			t.Errorf("the machine does not say %q", want)
		}
	}
	if t.Failed() {
		t.Logf("it says:\n%s", text)
	}
	if !ordinary {
		limits(t, c.Dir, m.ID)
	}
}

// limits looks for the limits that a machine's control group has on the host.
func limits(t *testing.T, dir string, id cloud.MachineID) {
	t.Helper()
	h := newHost(t, dir)
	for names, want := range map[string]string{
		"memory.limit_in_bytes memory.max": "67108864", "pids.max": "50", "cpu.cfs_quota_us cpu.max": "100000",
	} {
		found := ""
		for _, root := range h.groups {
			for _, name := range strings.Fields(names) {
				if text, err := os.ReadFile(filepath.Join(root, h.name, string(id), name)); err == nil {
					found += string(text)
				}
			}
		}
		if first, _, _ := strings.Cut(strings.TrimSpace(found), " "); first != want {
			t.Errorf("%s is %q, want %s", names, found, want)
		}
	}
}

// TestAsAsked: what the request asks for wins over the cloud's defaults.
func TestAsAsked(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"PROCESSES": "50"})
	l := start(t, c)
	id, err := l.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: userData(), MemoryMiB: 64, CPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	limits(t, c.Dir, id)
}

// TestOutOfMemory: a machine that takes more than its share is stopped by the kernel, and the others live on.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"MEMORY_MIB": "32"})
	l := start(t, c)
	other := launch(t, l, "other-1")
	id, err := l.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: []byte("#!/bin/sh\nx=0123456789abcdef\nwhile :; do x=$x$x; done\n")})
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, l, id)
	if m, err := l.Describe(t.Context(), other.ID); err != nil || m.State != cloud.StateRunning {
		t.Errorf("the other machine is %+v, %v", m, err)
	}
}

// stopped waits until a machine is said to have stopped.
func stopped(t *testing.T, l cloud.Provider, id cloud.MachineID) {
	t.Helper()
	until(t, "the machine has stopped", func() bool {
		m, err := l.Describe(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return m.State == cloud.StateStopped
	})
}

// TestDeath: a machine whose program ends, or whose first process is killed, has stopped, stays listed, leaves no dead
// process, and can be terminated.
func TestDeath(t *testing.T) {
	for _, kind := range []string{"container", "process"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := configuration(t, map[string]string{"RUNTIME": kind})
			l := start(t, c)
			killed := launch(t, l, "killed-1")
			first := newHost(t, c.Dir).first(t)[killed.ID]
			ended, err := l.Launch(t.Context(), cloud.Spec{Token: "ended-1", UserData: []byte("#!/bin/sh\nexit 3\n")})
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Kill(); err != nil {
				t.Fatal(err)
			}
			for _, id := range []cloud.MachineID{killed.ID, ended} {
				stopped(t, l, id)
			}
			until(t, "the dead process is reaped", func() bool {
				_, err := task.Read(first.PID)
				return errors.Is(err, task.ErrGone)
			})
			l = again(t, c, l)
			list, err := l.List(t.Context())
			if err != nil || len(list) != 2 || list[0].State != cloud.StateStopped || list[1].State != cloud.StateStopped {
				t.Errorf("after a restart the list is %+v, %v", list, err)
			}
			if id, err := l.Launch(t.Context(), cloud.Spec{Token: "ended-1", UserData: userData()}); err != nil || id != ended {
				t.Errorf("the token of a stopped machine gives %s, %v", id, err)
			}
			for _, m := range list {
				if err := l.Terminate(t.Context(), m.ID); err != nil {
					t.Error(err)
				}
			}
			groups, err := cgroup.Find()
			if err != nil {
				t.Fatal(err)
			}
			if left, err := groups.Processes("/" + newHost(t, c.Dir).name); err != nil || len(left) != 0 {
				t.Errorf("left are processes %v, %v", left, err)
			}
		})
	}
}
