package verify_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/imagebuilder/verify"
)

func write(t *testing.T, name string, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// fake is a director that is a script; $1 is what it is told to do, and it notes that in the file calls.
func fake(t *testing.T, serve string) (path, calls string) {
	t.Helper()
	calls = filepath.Join(t.TempDir(), "calls")
	script := "#!/bin/sh\necho $1 $2 >>" + calls + "\ncase $1 in\nserve) " + serve + " ;;\nesac\n"
	return write(t, "cpsdirector", []byte(script), 0o755), calls
}

// TestDirectorTrouble: a director that ends, one that never answers and one of an interrupted verification are said, their
// clouds are cleaned, and no file is left.
func TestDirectorTrouble(t *testing.T) {
	image := verify.Image{Path: write(t, "image.tar", make([]byte, 1024), 0o600), Form: "tar"}
	for _, c := range []struct {
		name, serve, says string
		timeout           time.Duration
		interrupt         bool
	}{
		{"ends", "echo no database >&2; exit 1", "the director has ended; the end of its log:\nno database", time.Minute, false},
		{"is silent", "trap 'exit 0' TERM; sleep 60 & wait", "it has not joined within 300ms", 300 * time.Millisecond, false},
		{"is interrupted", "trap 'exit 0' TERM; sleep 60 & wait", "interrupted", time.Minute, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			program, calls := fake(t, c.serve)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := verify.Run(ctx, image, verify.Options{Director: program, Timeout: c.timeout, Step: func(string) {
				if c.interrupt {
					cancel()
				}
			}})
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, context.Canceled) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if done, err := os.ReadFile(calls); err != nil || !strings.HasSuffix(string(done), "cloud clean\n") {
				t.Errorf("the director was told %q, %v", done, err)
			}
			if left, err := filepath.Glob(filepath.Join(temporary, "*")); err != nil || len(left) != 0 {
				t.Errorf("left is %q, %v", left, err)
			}
		})
	}
}

// TestFirmwareOfTheImage: a container has no firmware, a disk needs one.
func TestFirmwareOfTheImage(t *testing.T) {
	for _, c := range []struct {
		image    verify.Image
		firmware verify.Firmware
	}{{verify.Image{Path: "/a", Form: "raw", Disk: true}, verify.None}, {verify.Image{Path: "/a"}, verify.UEFI}} {
		if _, err := verify.Run(t.Context(), c.image, verify.Options{Director: "/none", Firmware: c.firmware}); err == nil || !strings.Contains(err.Error(), "firmware") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
