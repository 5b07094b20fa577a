package build

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/imagebuilder/recipe"
)

// shell is the recipe of a nutshell, with programs that are in a directory.
func shell(t *testing.T, dir, more string) recipe.Recipe {
	t.Helper()
	for _, name := range programs {
		put(t, dir, map[string]string{"bin/" + name: "#!/bin/sh\n# " + name + "\n"})
	}
	return parsed(t, dir, "[image]\nformat = qcow2\n[services]\nphp = off\njava = off\nmysql = off\ngeneric = off\n[nutshell]\nnutshell = true\nhostname = shell.example.org\nprograms = bin\n"+more)
}

// The image of the machines is built first. It, the programs and their settings are added to the root file system.
func TestNutshellIsMadeOfProgramsAndAnImage(t *testing.T) {
	notes, cache, dir := fake(t, "mkdir -p $notes/root/boot/grub && touch $notes/root/vmlinuz $notes/root/boot/grub/grub.cfg"), t.TempDir(), t.TempDir()
	var steps []string
	o := Options{Cache: cache, Sources: sources, Progress: func(p Progress) { steps = append(steps, p.Step) }}
	first, err := Build(t.Context(), shell(t, dir, ""), o)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Nutshell || calls(t, notes) != 2 || len(steps) == 0 || !strings.HasPrefix(steps[0], "image of the machines: ") {
		t.Errorf("%+v was made by %d calls in the steps %q", first, calls(t, notes), steps)
	}
	machines, err := Build(t.Context(), helloworld(t), o)
	if err != nil || calls(t, notes) != 2 {
		t.Fatalf("the image of its machines is not in the cache: %v", err)
	}
	n, err := newNutshell(t.Context(), shell(t, dir, ""), o)
	if err != nil {
		t.Fatal(err)
	}
	filled, err := n.fill(t.Context(), machines.Path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tree := t.TempDir()
	if out, err := exec.Command("tar", "--extract", "--file="+filled, "--directory="+tree).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range map[string]string{
		"usr/local/bin/cpsdirector":                          "# cpsdirector\n",
		"etc/cpsdirector/director.cfg":                       "DIRECTOR_URL = https://shell.example.org:5555\n",
		"usr/lib/conpaas/nutshell":                           "url=https://shell.example.org:5555\n",
		"etc/systemd/system/conpaas-director.service":        "KillMode=process\n",
		"var/cache/cpsimage/" + machines.Key + ".json":       `"path": "/var/cache/cpsimage/` + machines.Key + `.tar"`,
		"var/cache/cpsimage/" + machines.Key + ".packages":   "nginx-light",
		"var/cache/cpsimage/" + filepath.Base(machines.Path): read(t, machines.Path),
		"var/cache/cpsimage/" + filepath.Base(machines.SBOM): read(t, machines.SBOM),
		"var/cache/cpsimage/rootfs.tar":                      read(t, machines.Path),
		"etc/hostname":                                       "shell.example.org\n",
		"etc/hosts":                                          "127.0.1.1\tshell.example.org\n",
		"var/lib/dpkg/status":                                "nginx-light", // of the root file system that was filled
	} {
		if got := read(t, tree, name); want == "" || !strings.Contains(got, want) {
			t.Errorf("%s holds %.200q, want %.200q", name, got, want)
		}
	}
	inside, ok := lookup(filepath.Join(tree, "var/cache/cpsimage"), machines.Key)
	if !ok || inside.SHA256 != machines.SHA256 {
		t.Errorf("the nutshell's own cache has %+v", inside)
	}
	for _, name := range []string{"usr/local/bin/cps", "usr/lib/conpaas/nutshell"} {
		if info, err := os.Stat(filepath.Join(tree, name)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s cannot be run: %v, %v", name, info, err)
		}
	}
	for name, want := range nutshellLinks {
		if to, err := os.Readlink(filepath.Join(tree, name)); err != nil || to != want {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
		if service := filepath.Join(tree, want); strings.HasPrefix(want, "/etc/") {
			if _, err := os.Stat(service); err != nil {
				t.Error(err)
			}
		}
	}
	if header := read(t, first.Path); binary.BigEndian.Uint64([]byte(header)[24:]) < nutshellRoom {
		t.Error("there is no room for machines")
	}
	var again recipe.Recipe
	for name, change := range map[string]func(){
		"nothing":      func() {},
		"a program":    func() { put(t, dir, map[string]string{"bin/cpsagent": "#!/bin/sh\nnew\n"}) },
		"the hostname": func() { own := *again.Nutshell; own.Hostname = "other"; again.Nutshell = &own },
		"the machines": func() { again = shell(t, dir, "[packages]\nextra = rsync\n") },
	} {
		again = shell(t, dir, "")
		change()
		n, err := newNutshell(t.Context(), again, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, key, err := keysOf(again, sources, n); err != nil || (key == first.Key) != (name == "nothing") {
			t.Errorf("%s has changed: the same nutshell %v, %v", name, key == first.Key, err)
		}
	}
}

// What is missing is said before the image of the machines is built.
func TestNutshellNeedsItsPrograms(t *testing.T) {
	notes, dir := fake(t, ""), t.TempDir()
	r := shell(t, dir, "")
	for name, change := range map[string]func(string) error{
		"cpsmanager": os.Remove,
		"cpsagent":   func(path string) error { return os.Chmod(path, 0o644) },
		"cps":        func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		dir := filepath.Join(dir, "bin")
		if err := change(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err := Build(t.Context(), r, Options{Cache: t.TempDir(), Sources: sources})
		if want := "the program " + name + " is not in " + dir + ": set programs to the directory"; !errors.Is(err, recipe.ErrRecipe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		put(t, dir, map[string]string{name: "#!/bin/sh\n"})
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if calls(t, notes) != 0 {
		t.Error("an image was built")
	}
}
