package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"conpaas/client/daemon"
)

func run(t *testing.T, args ...string) (out, progress string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	c := New(&o, &e)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// fakeBuilder puts a program called mmdebstrap before the real one that writes an empty archive.
func fakeBuilder(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	script := "#!/bin/sh\ncat >/dev/null\nwhile [ $# -gt 2 ]; do shift; done\nd=$(mktemp -d)\nmkdir -p $d/var/lib/dpkg\n: >$d/var/lib/dpkg/status\ntar --create --file=\"$1\" --directory=$d .\nrm -r $d\n"
	if err := os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func TestBuildAndList(t *testing.T) {
	fakeBuilder(t)
	cache := t.TempDir()
	args := []string{"build", "--services", "helloworld", "--cache", cache, "--mirror", "http://m.example.org/debian"}
	path, progress, err := run(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(path, cache+"/") || !strings.HasSuffix(path, ".tar\n") || !strings.Contains(progress, " s] rootfs of debian-12 with helloworld: ") {
		t.Errorf("out %q, progress %q", path, progress)
	}
	file := filepath.Join(t.TempDir(), "x.tar")
	out, progress, err := run(t, append(args, "-o", file)...)
	if err != nil || out != file+"\n" || progress != "" {
		t.Errorf("from the cache: %q, progress %q, %v", out, progress, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	out, _, err = run(t, "list", "--cache", cache)
	if err != nil || !strings.HasPrefix(out, "FORMAT") || !strings.Contains(out, "helloworld") || !strings.Contains(out, strings.TrimSpace(path)) {
		t.Errorf("list %q, %v", out, err)
	}
	out, _, err = run(t, "list", "--cache", cache, "-o", "json")
	var list []struct{ Path, Key, SHA256 string }
	if err := errors.Join(err, json.Unmarshal([]byte(out), &list)); err != nil || len(list) != 1 || list[0].Path+"\n" != path || len(list[0].SHA256) != 64 {
		t.Errorf("list %q, %v", out, err)
	}
	if out, _, err = run(t, "list", "--cache", cache, "-o", "yaml"); err != nil || !strings.Contains(out, "format: rootfs\n") {
		t.Errorf("list %q, %v", out, err)
	}
	if out, _, err = run(t, "list", "--cache", cache+"/none", "-o", "json"); err != nil || out != "[]\n" {
		t.Errorf("an empty list %q, %v", out, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"build", "--format", "iso"}, `unknown format "iso"`},
		{[]string{"build", "--services", "hello"}, `unknown service type "hello"`},
		{[]string{"build", "helloworld"}, `unknown command "helloworld"`},
		{[]string{"build", "--mirror", "x"}, `mirror "x"`},
		{[]string{"build", "--security-mirror", "x"}, `mirror "x"`},
		{[]string{"list", "-o", "xml"}, `unknown form "xml"`},
		{[]string{"paint"}, `unknown command "paint"`},
	} {
		out, _, err := run(t, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || out != "" {
			t.Errorf("%q: %v, out %q; want %q", tt.args, err, out, tt.want)
		}
	}
}

func TestVersionAndCompletion(t *testing.T) {
	if out, _, err := run(t, "--version"); err != nil || !strings.Contains(out, daemon.Version) {
		t.Errorf("version %q, %v", out, err)
	}
	for _, tt := range [][2]string{{"--format", "rootfs"}, {"--services", "helloworld"}} {
		if out, _, err := run(t, cobra.ShellCompRequestCmd, "build", tt[0], ""); err != nil || !strings.Contains(out, tt[1]+"\n") {
			t.Errorf("completion of %s: %q, %v", tt[0], out, err)
		}
	}
}

// The examples of the help are commands that exist.
func TestExamples(t *testing.T) {
	root := New(&bytes.Buffer{}, &bytes.Buffer{})
	for _, c := range root.Commands() {
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			found, rest, err := root.Find(words[1:])
			if err != nil || found.ParseFlags(rest) != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
}
