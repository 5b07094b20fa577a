package disk

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rootTar writes the archive of a little root file system.
func rootTar(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, h := range []tar.Header{
		{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./boot/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./boot/grub/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./boot/grub/grub.cfg", Size: 100, Mode: 0o644},
		{Name: "./boot/vmlinuz-6", Size: 1 << 20, Mode: 0o600},
		{Name: "./vmlinuz", Typeflag: tar.TypeSymlink, Linkname: "boot/vmlinuz-6"},
		{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./bin/su", Size: 5000, Mode: 0o4755},
		{Name: "./bin/ping", Size: 10, Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		{Name: "./var/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./var/mail/", Typeflag: tar.TypeDir, Mode: 0o2770, Gid: 8},
		{Name: "./var/mail/www", Size: 3, Mode: 0o640, Uid: 33, Gid: 33},
		{Name: "./var/mail/same", Typeflag: tar.TypeLink, Linkname: "./var/mail/www"},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// checkDisk looks into a disk of rootTar.
func checkDisk(t *testing.T, raw string, freeAtLeast int64) {
	t.Helper()
	info, err := os.Stat(raw)
	if err != nil {
		t.Fatal(err)
	}
	if on := info.Sys().(*syscall.Stat_t).Blocks * 512; on > 20*mib {
		t.Errorf("the file takes %d MiB", on/mib)
	}
	fs := fmt.Sprintf("%s?offset=%d", raw, rootStart)
	output(t, "e2fsck", "-fn", fs)
	for path, want := range map[string]string{
		"/bin/su": "Mode:  04755", "/var/mail": "Group:     8", "/var/mail/www": "User:    33   Group:    33", "/var/mail/same": "Links: 2",
		"/bin/ping": "security.capability (20)", "/vmlinuz": `Fast link dest: "boot/vmlinuz-6"`, "/boot/vmlinuz-6": "Size: 1048576", "/": "User:     0   Group:     0",
	} {
		if got := output(t, "debugfs", "-R", "stat "+path, fs); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", path, got, want)
		}
	}
	super := output(t, "dumpe2fs", "-h", fs)
	number := func(name string) int64 {
		_, rest, _ := strings.Cut(super, name+":")
		value, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			t.Errorf("%s: %v in %s", name, err, super)
		}
		return n
	}
	left := (number("Free blocks") - number("Reserved block count")) * block
	if left < freeAtLeast || left > freeAtLeast+16*mib {
		t.Errorf("%d KiB of the file system are free, want %d MiB or a little more", left/1024, freeAtLeast/mib)
	}
	if !strings.Contains(super, "volume name:   conpaas") || strings.Contains(super, "metadata_csum_seed") {
		t.Errorf("file system: %s", super)
	}
	if got := output(t, "mdir", "-b", "-/", "-i", fmt.Sprintf("%s@@%d", raw, 2*mib), "::"); !strings.Contains(got, "::/EFI/BOOT/BOOTX64.EFI") {
		t.Errorf("EFI system partition: %s", got)
	}
}

// TestWrite: a disk has all of the archive with its owners, modes and capabilities, and the free space that is asked for.
func TestWrite(t *testing.T) {
	source, dir := rootTar(t), t.TempDir()
	least, err := Minimum(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    Options
		size int64 // 0: less than the least
		free int64
	}{
		{"least", Options{}, least, free},
		{"optimized", Options{Optimize: true}, 0, freeLittle},
		{"given", Options{Size: least + 100*mib + 1000}, least + 100*mib, free + 97*mib},
		{"without mounts", Options{}, least, free},
	} {
		if c.name == "without mounts" {
			program(t, "mount", "exit 32")
		}
		var steps []string
		c.o.Step = func(text string) { steps = append(steps, text) }
		raw := filepath.Join(dir, c.name)
		if err := Write(t.Context(), source, raw, c.o); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(raw)
		if err != nil {
			t.Fatal(err)
		}
		if size := info.Size(); size%mib != 0 || c.size != 0 && size != c.size || c.size == 0 && size >= least {
			t.Errorf("%s: %d bytes, the least is %d", c.name, size, least)
		}
		checkDisk(t, raw, c.free)
		if len(steps) != 3 {
			t.Errorf("steps: %q", steps)
		}
	}
	if left := output(t, "ls", "-A", dir); left != "given\nleast\noptimized\nwithout mounts\n" {
		t.Errorf("left: %q", left)
	}
}

// TestTooSmall: a size below the minimum is refused with it.
func TestTooSmall(t *testing.T) {
	t.Parallel()
	source, dir := rootTar(t), t.TempDir()
	least, err := Minimum(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	err = Write(t.Context(), source, filepath.Join(dir, "raw"), Options{Size: least - 1})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the minimum is %d MiB", least/mib)) {
		t.Errorf("%v, want the minimum of %d MiB", err, least/mib)
	}
	checkEmpty(t, dir)
}

// TestManyFiles: where there are many little files, the disk is as large as their inodes need.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	const files = 1_000_000
	u := usage{bytes: files, inodes: files}
	if inodes := (u.disk(free) - rootStart - rootAfter) / perInode; inodes < files+files/10 {
		t.Errorf("%d inodes for %d files", inodes, files)
	}
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	if left := output(t, "ls", "-A", dir); left != "" {
		t.Errorf("left: %q", left)
	}
}

// TestFailures: what cannot be made says why and leaves nothing.
func TestFailures(t *testing.T) {
	source, dir := rootTar(t), t.TempDir()
	raw, broken := filepath.Join(dir, "raw"), filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte(strings.Repeat("no archive", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	fails := func(source, says string) {
		t.Helper()
		if err := Write(t.Context(), source, raw, Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
		checkEmpty(t, dir)
	}
	fails(broken, "read the archive")
	container := filepath.Join(t.TempDir(), "container.tar")
	output(t, "tar", "--create", "--file="+container, "--files-from=/dev/null")
	fails(container, "no kernel")
	program(t, "mke2fs", "echo this cannot be; exit 1")
	fails(source, "this cannot be")
	t.Setenv("PATH", t.TempDir())
	if err := Write(t.Context(), source, raw, Options{}); err == nil || !strings.Contains(err.Error(), "grub-mkimage") {
		t.Errorf("%v, want the missing program", err)
	}
}

// program puts a program before those of the host.
func program(t *testing.T, name, script string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// TestInterrupted: a disk that is called off while its file system is made leaves nothing, no unpacked file either, and
// the programs have the lock while they run. The files are in memory, or on the disk where nothing may be mounted.
func TestInterrupted(t *testing.T) {
	source := rootTar(t)
	for _, inMemory := range []bool{true, false} {
		dir, notes := t.TempDir(), filepath.Join(t.TempDir(), "notes")
		if err := syscall.Mkfifo(notes, 0o600); err != nil {
			t.Fatal(err)
		}
		program(t, "mke2fs", `(ls -l /proc/self/fd/3; mountpoint "$2"; ls -d "$2/vmlinuz") >`+notes+"; exec sleep 60")
		if !inMemory {
			program(t, "mount", "exit 32")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		lock, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		done := make(chan error, 1)
		go func() { done <- Write(ctx, source, filepath.Join(dir, "raw"), Options{Held: lock}) }()
		text, err := os.ReadFile(notes) // waits for the program
		if err != nil || !strings.Contains(string(text), dir) || !strings.Contains(string(text), "/vmlinuz\n") {
			t.Errorf("%s, %v: want the lock %s, and a kernel", text, err, dir)
		}
		if got := strings.Contains(string(text), "is a mountpoint"); got != inMemory {
			t.Errorf("%s: want it in memory: %v", text, inMemory)
		}
		cancel()
		if err := <-done; !errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		checkEmpty(t, dir)
	}
}

// TestMemory: files are unpacked in memory where they take no more than half of what is there.
func TestMemory(t *testing.T) {
	t.Parallel()
	root := tree{bytes: 10}
	if little, enough := root.memory(19), root.memory(1000); little != 0 || enough != 20 {
		t.Errorf("%d bytes of memory of 19, %d of 1000", little, enough)
	}
	if n := available(); n < 10*mib || n > 1<<45 {
		t.Errorf("%d bytes of memory are available", n)
	}
	file := filepath.Join(t.TempDir(), "limit")
	for text, want := range map[string]int64{"max\n": math.MaxInt64, "4096\n": 4096} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := limit(file); got != want {
			t.Errorf("%q is a limit of %d bytes", text, got)
		}
	}
}

// TestTools: this host has what the tests need, by the names that are told to others.
func TestTools(t *testing.T) {
	t.Parallel()
	for _, tool := range Tools(false) {
		_, err := exec.LookPath(tool.Name)
		if filepath.IsAbs(tool.Name) {
			_, err = os.Stat(tool.Name)
		}
		if err != nil || tool.Package == "" {
			t.Errorf("%+v: %v", tool, err)
		}
	}
	if with, without := len(Tools(true)), len(Tools(false)); with+2 != without {
		t.Errorf("%d tools for root, %d for others", with, without)
	}
}
