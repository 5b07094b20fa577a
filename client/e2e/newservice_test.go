package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An author begins with `make new-service`: what it writes compiles, has every piece, passes the tests of its halves and of the
// command line, and serves on real machines, before a line of it is changed.
func TestNewService(t *testing.T) {
	rootfs(t)
	tree := copyTree(t)
	do := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = tree
		// As the programs are built: what the new type does not touch is in the cache.
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if out := do("make", "--no-print-directory", "new-service", "NAME=notice", "GOFLAGS=-trimpath"); !strings.Contains(out, "client/api/notice.go") {
		t.Errorf("it says:\n%s", out)
	}
	do("go", "test", "./manager/services", "./manager/services/notice", "./agent/services/notice")
	do("go", "test", "./client/command", "-run", "Help|Example|Noun|Program")
	do("go", "vet", "./client/api", "./client/command", "./manager/services/notice", "./agent/services/notice")
	out := do("env", "CGO_ENABLED=1", "go", "test", "./client/e2e", "-run", "^(TestArchitecture.*|TestStoryContainer)$/^(notice)?$", "-count=1", "-v")
	for _, passed := range []string{"--- PASS: TestArchitectureServiceTypes", "--- PASS: TestStoryContainer/notice"} {
		if !strings.Contains(out, passed) {
			t.Errorf("there is no %q in:\n%s", passed, out)
		}
	}
}

// copyTree gives a copy of this tree, which tests may change.
func copyTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	for _, name := range topLevel {
		if slices.Contains([]string{".git", "bin", "bench.json"}, name) {
			continue
		}
		from, to := filepath.Join(top, name), filepath.Join(tree, name)
		info, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}
