package imagetest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// cpsimage runs the program as people do, with its progress in the test's log.
func cpsimage(t testing.TB, temporary string, args ...string) (out, progress string, err error) {
	t.Helper()
	program, err := filepath.Abs("../../bin/cpsimage")
	if err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	c := exec.CommandContext(t.Context(), program, args...)
	c.Env = append(os.Environ(), "TMPDIR="+temporary)
	c.Stdout, c.Stderr = &o, &e
	err = c.Run()
	t.Logf("cpsimage %s: %v\n%s%s", strings.Join(args, " "), err, e.String(), o.String())
	return o.String(), e.String(), err
}

// image makes an image, or takes it from the cache.
func image(t testing.TB, args ...string) string {
	t.Helper()
	args = append([]string{"build"}, args...)
	if cache := os.Getenv("CONPAAS_CACHE"); cache != "" {
		args = append(args, "--cache", cache)
	}
	out, _, err := cpsimage(t, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// nothing holds that no file, mount or process of a verification is left.
func nothing(t *testing.T, temporary string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(temporary, "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("files are left: %q, %v", left, err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), temporary) {
		t.Errorf("mounts are left, %v", err)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range commands {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), temporary) {
			t.Errorf("a process is left: %q", text)
		}
	}
}

// verified holds that an image joins under each of what it boots under.
func verified(t *testing.T, path string, under ...string) {
	t.Helper()
	temporary := t.TempDir()
	out, _, err := cpsimage(t, temporary, "verify", path)
	if err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, name := range under {
		form := fmt.Sprintf(`^%s: joined [0-9]+\.[0-9] s after power-on, connected after [0-9]+\.[0-9] s$`, name)
		if len(lines) != len(under) || !regexp.MustCompile(form).MatchString(lines[i]) {
			t.Errorf("it said %q, want %s", out, under)
		}
	}
	nothing(t, temporary)
}

// TestVirtualMachine: the disk of an appliance boots by its own loader under both firmwares, fetches its code and joins.
func TestVirtualMachine(t *testing.T) {
	verified(t, image(t, "--format", "ova", "--services", "helloworld"), "SeaBIOS", "OVMF")
}

// TestContainer: a root file system joins as a container. It is the one that make image makes.
func TestContainer(t *testing.T) { verified(t, image(t, "--format", "rootfs"), "container") }

// TestDeadImage: an image whose boot sector stops the processor is refused with what it printed, and leaves nothing.
func TestDeadImage(t *testing.T) {
	sector := make([]byte, 1<<20)
	copy(sector, []byte{
		0xba, 0xf8, 0x03, // mov dx, 0x3f8: the serial port
		0xb0, '?', 0xee, //  mov al, '?'; out dx, al
		0xf4, 0xeb, 0xfd, // end: hlt; jmp end
	})
	sector[510], sector[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "dead.raw")
	if err := os.WriteFile(path, sector, 0o600); err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	out, said, err := cpsimage(t, temporary, "verify", "--firmware", "bios", "--timeout", "45s", path)
	for _, want := range []string{"SeaBIOS: it has not joined within 45s", "The end of its console:\n?"} {
		if err == nil || out != "" || !strings.Contains(said, want) {
			t.Errorf("%v, out %q; it does not say %q", err, out, want)
		}
	}
	nothing(t, temporary)
}
