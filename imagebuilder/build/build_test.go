package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"conpaas/imagebuilder/recipe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake puts a program called mmdebstrap before the real one. It notes its arguments and its input below the directory that
// fake gives, runs the lines of script, and writes an empty archive to its target.
func fake(t *testing.T, script string) (notes string) {
	t.Helper()
	notes = t.TempDir()
	bin := t.TempDir()
	text := `#!/bin/sh
notes=` + notes + `
echo call >>$notes/calls
printf '%s\n' "$@" >$notes/args
cat >$notes/input
echo "I: running apt-get update..." >&2
` + script + `
while [ $# -gt 2 ]; do shift; done
mkdir -p $notes/root/var/lib/dpkg
cat >$notes/root/var/lib/dpkg/status <<'E'
Package: nginx-light
Status: install ok installed
Installed-Size: 5
Architecture: amd64
Source: nginx
Version: 1.22.1-9+deb12u2

E
tar --create --file="$1" --directory=$notes/root .
`
	if err := os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return notes
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func calls(t *testing.T, notes string) int { return strings.Count(read(t, notes, "calls"), "call") }

// names gives the names of what is in a directory, without what is kept for other formats.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), rootPrefix) || e.Name() == timesFile {
			continue // what is kept for the next build
		}
		out = append(out, e.Name())
	}
	return out
}

func helloworld(t *testing.T) recipe.Recipe {
	t.Helper()
	r, err := recipe.New("rootfs", []string{"helloworld"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var sources = Sources{main("http://m.example.org/debian", "bookworm"), main("http://u:secret@m.example.org/s", "bookworm-security")}

func TestBuildOnce(t *testing.T) {
	notes, cache := fake(t, ""), filepath.Join(t.TempDir(), "a", "cache")
	var steps []string
	o := Options{Cache: cache, Sources: sources, Progress: func(p Progress) { steps = append(steps, p.Step) }}
	first, err := Build(t.Context(), helloworld(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{first.Key + ".json", first.Key + ".packages", first.Key + ".spdx.json", first.Key + ".tar"}; !slices.Equal(names(t, cache), want) {
		t.Errorf("the cache has %v, want %v", names(t, cache), want)
	}
	if want := []string{"preparing", "reading the package lists", "1 packages, 0 MiB; left out: 0 MiB of others", "keeping the image"}; !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
	steps = nil
	again, err := Build(t.Context(), helloworld(t), o)
	if d := cmp.Diff(first, again); d != "" || err != nil || steps != nil || calls(t, notes) != 1 {
		t.Errorf("the second time: %v, steps %q, %d calls, another image:\n%s", err, steps, calls(t, notes), d)
	}
	if list, err := List(cache); err != nil || len(list) != 1 || cmp.Diff(list[0], first) != "" {
		t.Errorf("list %+v, %v", list, err)
	}
	args := read(t, notes, "args")
	for _, want := range []string{"--include=", "nginx-light", "--variant=minbase\n", "\nbookworm\n"} {
		if !strings.Contains(args, want) {
			t.Errorf("mmdebstrap was called without %q:\n%s", want, args)
		}
	}
	if strings.Contains(args, "secret") || !strings.Contains(read(t, notes, "input"), "deb http://u:secret@m.example.org/s bookworm-security main\n") {
		t.Errorf("a password belongs into the input, not into the arguments:\n%s", args)
	}
}

func TestBuildAnew(t *testing.T) {
	notes, cache := fake(t, ""), t.TempDir()
	o := Options{Cache: cache, Sources: sources}
	r := helloworld(t)
	first, err := Build(t.Context(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	more := r
	more.Packages = append(slices.Clone(r.Packages), "zsh")
	elsewhere := o
	elsewhere.Sources = sources[:1]
	for name, b := range map[string]func() (Image, error){
		"another package": func() (Image, error) { return Build(t.Context(), more, o) },
		"another source":  func() (Image, error) { return Build(t.Context(), r, elsewhere) },
	} {
		before := calls(t, notes)
		if image, err := b(); err != nil || image.Key == first.Key || calls(t, notes) != before+1 {
			t.Errorf("%s: %v, key %s, %d calls", name, err, image.Key, calls(t, notes)-before)
		}
	}
	o.Fresh = true
	if image, err := Build(t.Context(), r, o); err != nil || image.Key != first.Key || !image.Created.After(first.Created) || calls(t, notes) != 4 {
		t.Errorf("fresh: %v, created %s, before %s", err, image.Created, first.Created)
	}
	o.Fresh = false
	if err := os.Truncate(first.Path, 10); err != nil {
		t.Fatal(err)
	}
	if image, err := Build(t.Context(), r, o); err != nil || image.Size == 10 || calls(t, notes) != 5 {
		t.Errorf("a damaged image: %v, %d bytes", err, image.Size)
	}
}

func TestBuildFails(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"it fails", `echo "E: Unable to locate package nginx-light" >&2; exit 25`, "exit status 25; its last lines:\nI: running apt-get update...\nE: Unable to locate package nginx-light"},
		{"it is killed", `kill -9 $$`, "signal: killed"},
		{"it writes nothing", `exit 0`, "written nothing"},
		{"it fails with much to say", `i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; exit 1`, "line 299"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake(t, tt.script)
			cache := t.TempDir()
			_, err := Build(t.Context(), helloworld(t), Options{Cache: cache, Sources: sources})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "line 200\n") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if left := names(t, cache); left != nil {
				t.Errorf("left %v", left)
			}
		})
	}
}

// pipe makes a named pipe. A fake that reads it stands still until something is written.
func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBuildsWaitForEachOther(t *testing.T) {
	gate := pipe(t)
	notes, cache := fake(t, "read x <"+gate), t.TempDir()
	if err := os.Mkdir(filepath.Join(cache, workPrefix+"killed"), 0o755); err != nil { // of a build that was killed
		t.Fatal(err)
	}
	started, waiting := make(chan struct{}), make(chan struct{})
	type result struct {
		image Image
		err   error
	}
	results := make(chan result, 2)
	run := func(at string, reached chan struct{}) {
		image, err := Build(t.Context(), helloworld(t), Options{Cache: cache, Sources: sources, Progress: func(p Progress) {
			if strings.Contains(p.Step, at) {
				close(reached)
			}
		}})
		results <- result{image, err}
	}
	go run("package lists", started)
	<-started
	go run("waiting for another build", waiting)
	<-waiting
	if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	a, b := <-results, <-results
	if a.err != nil || b.err != nil || cmp.Diff(a.image, b.image) != "" || calls(t, notes) != 1 {
		t.Errorf("%d calls, %+v, %+v", calls(t, notes), a, b)
	}
	if got := names(t, cache); len(got) != 4 {
		t.Errorf("the cache has %v", got)
	}
}

func TestBuildIsInterrupted(t *testing.T) {
	gate := pipe(t)
	notes, cache := fake(t, `echo $$ >$notes/pid
trap 'echo yes >$notes/cleaned; exit 1' TERM
echo "I: creating tarball..."
read x <`+gate), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Build(ctx, helloworld(t), Options{Cache: cache, Sources: sources, Progress: func(p Progress) {
		if p.Step == "writing the archive" {
			cancel()
		}
	}})
	if !errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left := names(t, cache); left != nil {
		t.Errorf("left %v", left)
	}
	if pid := strings.TrimSpace(read(t, notes, "pid")); read(t, notes, "cleaned") == "" || read(t, "/proc", pid, "cmdline") != "" {
		t.Errorf("process %s was not told to clean up, or is still there", pid)
	}
	if _, err := Build(ctx, helloworld(t), Options{Cache: cache, Sources: sources}); err == nil {
		t.Error("built although interrupted before")
	}
}

func TestMissingToolsAreNamedFirst(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	cache := filepath.Join(t.TempDir(), "cache")
	_, err := Build(t.Context(), helloworld(t), Options{Cache: cache, Sources: sources})
	for _, want := range []string{"mmdebstrap (package mmdebstrap)", "apt-get (package apt)", "run: apt-get install mmdebstrap apt dpkg tar gpgv"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := checkTools(false, recipe.Recipe{Architecture: runtime.GOARCH}, nil); err == nil || !strings.Contains(err.Error(), "newuidmap (package uidmap)") {
		t.Errorf("for a user: %v", err)
	}
	if _, err := os.Stat(cache); err == nil {
		t.Error("the cache was made")
	}
}

func TestExport(t *testing.T) {
	fake(t, "")
	image, err := Build(t.Context(), helloworld(t), Options{Cache: t.TempDir(), Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "x.tar")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := image.Export(file); err != nil || read(t, file) != read(t, image.Path) {
		t.Errorf("exported %d bytes of %d, %v", len(read(t, file)), image.Size, err)
	}
	if err := image.Export(filepath.Join(dir, "none", "x.tar")); err == nil {
		t.Error("exported into a directory that is not there")
	}
	image.Path += ".none"
	if err := image.Export(file); err == nil || !slices.Equal(names(t, dir), []string{"x.tar", "x.tar.packages", "x.tar.spdx.json"}) {
		t.Errorf("%v, left %v", err, names(t, dir))
	}
}

func TestHostOptions(t *testing.T) {
	bin := t.TempDir()
	script := `#!/bin/sh
cat <<'E'
APT::Architecture "amd64";
Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::http::Proxy "http://u:p@proxy.example.org:3128";
acquire::HTTPS::Verify-Peer "true";
DPkg::Post-Invoke:: "rm -f x";
E
`
	if err := os.WriteFile(filepath.Join(bin, "apt-config"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	want := "Acquire::Check-Valid-Until \"false\";\nAcquire::http::Proxy \"http://u:p@proxy.example.org:3128\";\nacquire::HTTPS::Verify-Peer \"true\";\n"
	if got, err := hostOptions(t.Context()); err != nil || got != want {
		t.Errorf("options %q, %v", got, err)
	}
}

func TestNewest(t *testing.T) {
	cache := t.TempDir()
	for _, name := range []string{"old", "new", "new"} {
		image := Image{Format: recipe.FormatRootFS, Path: filepath.Join(cache, name+".tar")}
		if err := os.WriteFile(image.Path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := image.Newest(); err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(filepath.Join(cache, "rootfs.tar")); err != nil || string(content) != name {
			t.Errorf("rootfs.tar is %q (%v), want the image %q", content, err, name)
		}
	}
	if want := []string{"new.tar", "old.tar", "rootfs.tar"}; !slices.Equal(names(t, cache), want) {
		t.Errorf("the cache has %v, want %v", names(t, cache), want)
	}
}
