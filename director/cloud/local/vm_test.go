package local_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/cloudtest"
	"conpaas/director/cloud/local"
	"conpaas/director/cloud/local/mount"
)

// bootDisk makes a disk whose boot sector prints the greeting on the first serial port and stops the processor.
func bootDisk(t testing.TB) string {
	t.Helper()
	program := []byte{
		0xbe, 0x11, 0x7c, //    mov si, text
		0xba, 0xf8, 0x03, //    mov dx, 0x3f8
		0xac,       //    next: lodsb
		0x84, 0xc0, //          test al, al
		0x74, 0x03, //          jz end
		0xee,       //          out dx, al
		0xeb, 0xf8, //          jmp next
		0xf4,       //    end:  hlt
		0xeb, 0xfd, //          jmp end
	}
	sector := make([]byte, 1<<20)
	copy(sector, slices.Concat(program, []byte(cloudtest.Greeting+"\r\n")))
	sector[510], sector[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "boot.raw")
	if err := os.WriteFile(path, sector, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVM: a machine has its own disk, seed and rights; the host's root is none of them.
func TestVM(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeVM})
	l := start(t, c)
	m := launch(t, l, "Node.1-1", "secret")
	printed(t, l, m.ID, cloudtest.Greeting)
	dir := filepath.Join(c.Dir, "machines", string(m.ID))
	for file, want := range map[string]string{
		"user-data":      string(userData("secret")),
		"meta-data":      "instance-id: " + string(m.ID) + "\nlocal-hostname: node-1-1\n",
		"network-config": m.Address.String() + "/16",
	} {
		out, err := exec.Command("mtype", "-i", filepath.Join(dir, "seed.img"), "::"+file).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("the seed's %s is %q, %v; want %q", file, out, err, want)
		}
	}
	out, err := exec.Command("mlabel", "-s", "-i", filepath.Join(dir, "seed.img"), "::").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "CIDATA") {
		t.Errorf("the seed is called %q, %v", out, err)
	}
	process := newHost(t, c.Dir).first(t)[m.ID]
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(process.PID), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t1900000000\t1900000000", "Gid:\t1900000000\t1900000000", "Groups:\t1900000000 \n", "CapEff:\t0000000000000000", "Seccomp:\t2"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the emulator's status lacks %q: %s", want, status)
		}
	}
	own, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(process.PID), "ns/net"))
	if host, err2 := os.Readlink("/proc/self/ns/net"); err != nil || err2 != nil || own == host {
		t.Errorf("the emulator is in the network %s, %v, the host in %s, %v", own, err, host, err2)
	}
}

// TestVMFirmware: OVMF starts as well, with variables of the machine's own.
func TestVMFirmware(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeVM, "FIRMWARE": "uefi"})
	l := start(t, c)
	m := launch(t, l, "n1-1")
	if m.State != cloud.StateRunning {
		t.Errorf("the machine is %+v", m)
	}
	if info, err := os.Stat(filepath.Join(c.Dir, "machines", string(m.ID), "firmware.fd")); err != nil || info.Size() == 0 {
		t.Errorf("its variables are %v, %v", info, err)
	}
}

// TestVMImage: an image that is none, or that would have the emulator read another file, is said at launch and by the
// check, and leaves nothing.
func TestVMImage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	backed := make([]byte, 512)
	copy(backed, "QFI\xfb")
	binary.BigEndian.PutUint32(backed[4:], 3)
	binary.BigEndian.PutUint64(backed[8:], 112)
	external := slices.Clone(backed)
	binary.BigEndian.PutUint64(external[8:], 0)
	binary.BigEndian.PutUint64(external[72:], 4)
	for name, content := range map[string][]byte{"backed": backed, "external": external, "empty": {}, "missing": nil} {
		path := filepath.Join(dir, name)
		if content != nil {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c := configuration(t, map[string]string{"RUNTIME": local.RuntimeVM, "IMAGE": path})
		l := start(t, c)
		told := false
		for _, k := range l.Check(t.Context()) {
			told = told || k.Name == "IMAGE" && !k.OK && strings.Contains(k.Detail, path)
		}
		id, err := l.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: userData()})
		if !told || cloud.KindOf(err) != cloud.KindPermanent {
			t.Errorf("%s: told by the check: %t; launch: %s, %v", name, told, id, err)
		}
		for _, trace := range newHost(t, c.Dir).traces(t) {
			if strings.Contains(trace, "/m-") {
				t.Errorf("%s: left is %s", name, trace)
			}
		}
	}
}

// TestVMHostRestart: after a restart of the host a machine boots again, with its address and what is on its disk.
func TestVMHostRestart(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeVM})
	l := start(t, c)
	before := launch(t, l, "n1-1")
	printed(t, l, before.ID, cloudtest.Greeting)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, c.Dir)
	if err := h.groups.Kill(t.Context(), "/"+h.name); err != nil {
		t.Fatal(err)
	}
	if _, err := mount.Clear(c.Dir); err != nil {
		t.Fatal(err)
	}
	machine := filepath.Join(c.Dir, "machines", string(before.ID))
	if err := os.Remove(filepath.Join(machine, "life.json")); err != nil {
		t.Fatal(err)
	}
	disk, err := os.Stat(filepath.Join(machine, "disk.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	l = again(t, c, l)
	if after, err := l.Describe(t.Context(), before.ID); err != nil || after != before {
		t.Errorf("the machine was %+v and is %+v, %v", before, after, err)
	}
	printed(t, l, before.ID, cloudtest.Greeting+"\r\n"+cloudtest.Greeting)
	if now, err := os.Stat(filepath.Join(machine, "disk.qcow2")); err != nil || !os.SameFile(disk, now) {
		t.Errorf("its disk is another one, %v", err)
	}
}
