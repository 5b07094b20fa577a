package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOrdinaryUser: a user without rights makes the same disks, and is named nowhere in them. Root runs this test.
func TestOrdinaryUser(t *testing.T) {
	dir, err := os.MkdirTemp("", "cps-disk-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name, program := filepath.Base(dir), filepath.Join(dir, "disk.test")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	output(t, "useradd", "--no-create-home", "--home-dir", dir, "--shell", "/bin/sh", name)
	defer output(t, "userdel", name)
	output(t, "cp", self, program)
	output(t, "chown", name+":"+name, dir, program)
	c := exec.Command("setpriv", "--reuid", name, "--regid", name, "--clear-groups", "--", program, "-test.run=^(TestWrite|TestInterrupted)$", "-test.v")
	c.Dir, c.Env = dir, append(os.Environ(), "TMPDIR="+dir, "USER="+name)
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestWrite") {
		t.Errorf("%v: %s", err, out)
	}
}
