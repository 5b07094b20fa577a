package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
)

// A recipe file is written, changed and built, and flags go before it.
func TestInitAndBuild(t *testing.T) {
	fakeBuilder(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "php.cfg")
	if out, _, err := run(t, "init", file); err != nil || out != file+"\n" {
		t.Fatalf("init: %q, %v", out, err)
	}
	if _, _, err := run(t, "init", file); err == nil || !strings.Contains(err.Error(), "is there already: name another file, or remove it") {
		t.Errorf("a file that is there: %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out, _, err := run(t, "init", "-"); err != nil || out != string(text) {
		t.Errorf("init to standard output: %v\n%s", err, out)
	}
	changes := []string{"# filename =", "filename = " + filepath.Join(dir, "php.tar.gz"), "# extra =", "extra = rsync"}
	for _, kind := range api.Catalogue() {
		if kind.Type != api.PHP {
			changes = append(changes, string(kind.Type)+" = on", string(kind.Type)+" = off")
		}
	}
	if err := os.WriteFile(file, []byte(strings.NewReplacer(changes...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(dir, "cache")
	build := []string{"build", "--recipe", file, "--cache", cache, "--mirror", "http://m.example.org/debian"}
	out, progress, err := run(t, build...)
	if err != nil || out != filepath.Join(dir, "php.tar.gz")+"\n" || !strings.Contains(progress, "rootfs of debian-12 with php: ") {
		t.Fatalf("build: %q, %v\n%s", out, err, progress)
	}
	for _, beside := range []string{"php.tar.gz", "php.tar.gz.packages", "php.tar.gz.spdx.json"} {
		if _, err := os.Stat(filepath.Join(dir, beside)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(filepath.Join(cache, "rootfs.tar")); err == nil {
		t.Error("an image without every service is the local cloud's")
	}
	other := filepath.Join(dir, "all.tar")
	if out, progress, err = run(t, append(build, "--services", "php,helloworld", "-o", other)...); err != nil || out != other+"\n" || !strings.Contains(progress, "with helloworld, php") {
		t.Errorf("with flags: %q, %v\n%s", out, err, progress)
	}
	if out, _, err = run(t, "list", "--cache", cache, "-o", "json"); err != nil || strings.Count(out, `.spdx.json"`) != 2 || strings.Count(out, `.packages"`) != 2 {
		t.Errorf("list: %v\n%s", err, out)
	}
}

func TestRecipesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"[image]\nclod = ec2\n":                        "x.cfg:\n[image] clod: unknown key; the nearest known one is cloud",
		"[image]\ncloud = vbox\nhypervisor = xen\n":    "remove hypervisor = xen",
		"[image]\nmirror = here\n":                     `mirror "here"`,
		"[image]\nformat = ova\nfilename = x.tar.xz\n": "end it in .ova",
	} {
		file := filepath.Join(dir, "x.cfg")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _, err := run(t, "build", "--recipe", file, "--cache", dir); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, _, err := run(t, "build", "--recipe", filepath.Join(dir, "none.cfg")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
}
