package build

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"conpaas/imagebuilder/recipe"
)

//go:embed nutshell.sh
var nutshellScript string

// nutshellTree has the files of a nutshell by their places in it, with @HOSTNAME@ for its name.
//
//go:embed all:nutshell
var nutshellTree embed.FS

const (
	nutshellDir   = "nutshell"           // of the tree, here and in the directory of a build
	programsPlace = "usr/local/bin"      // in the image
	cachePlace    = "var/cache/cpsimage" // in the image: where a director looks for the image of its machines
)

// nutshellRoom is how many bytes of a nutshell's disk are free at least: for the unpacked image, the database, code and
// machines.
const nutshellRoom = 4 << 30

// memory is how many MiB an appliance has.
func memory(r recipe.Recipe) int {
	if r.Nutshell != nil {
		return 3072 // for machines of 1024 MiB at most; what they do not use they do not take
	}
	return 1024
}

// programs are what a nutshell has beside packages.
var programs = []string{"cps", "cpsdirector", "cpsmanager", "cpsagent", "cpsimage"}

// nutshell is what makes a nutshell of a virtual machine. The zero one makes nothing.
type nutshell struct {
	*recipe.Nutshell
	machines Image // of the containers
}

// newNutshell makes the image of the machines, or takes it from the cache. What this host lacks for the nutshell itself is
// said before.
func newNutshell(ctx context.Context, r recipe.Recipe, o Options) (nutshell, error) {
	if r.Nutshell == nil {
		return nutshell{}, nil
	}
	own := *r.Nutshell
	n := nutshell{Nutshell: &own}
	var err error
	if n.Programs, err = filepath.Abs(n.Programs); err != nil {
		return n, err
	}
	for _, name := range programs {
		if info, err := os.Stat(filepath.Join(n.Programs, name)); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return n, fmt.Errorf("%w: the program %s is not in %s: set programs to the directory that has %s", recipe.ErrRecipe, name, n.Programs, strings.Join(programs, ", "))
		}
	}
	if err := checkTools(os.Geteuid() == 0, r, o.Sources); err != nil {
		return n, err
	}
	tell := o.Progress
	if tell != nil {
		o.Progress = func(p Progress) {
			p.Step = "image of the machines: " + p.Step
			tell(p)
		}
	}
	if n.machines, err = build(ctx, n.Machines, o); err != nil {
		return n, fmt.Errorf("image of the machines: %w", err)
	}
	return n, nil
}

// digest is of all content.
func (n nutshell) digest() (string, error) {
	if n.Nutshell == nil {
		return "", nil
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", n.Hostname, n.machines.SHA256)
	for _, name := range programs {
		_, text, err := digest(filepath.Join(n.Programs, name))
		if err != nil {
			return "", fmt.Errorf("program of the nutshell: %w", err)
		}
		fmt.Fprintln(sum, name, text)
	}
	err := fs.WalkDir(nutshellTree, nutshellDir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := nutshellTree.ReadFile(name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// write puts everything beside the scripts of a build, where nutshell.sh looks for it: as a tree, with
// links to the image of the machines.
func (n nutshell) write(work string) error {
	if n.Nutshell == nil {
		return nil
	}
	top := filepath.Join(work, nutshellDir)
	err := fs.WalkDir(nutshellTree, nutshellDir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.Mkdir(filepath.Join(work, name), 0o755)
		}
		text, err := nutshellTree.ReadFile(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(text), "#!/bin/sh") {
			mode = 0o755
		}
		return os.WriteFile(filepath.Join(work, name), []byte(strings.ReplaceAll(string(text), "@HOSTNAME@", n.Hostname)), mode)
	})
	if err != nil {
		return fmt.Errorf("write the nutshell: %w", err)
	}
	inside := n.machines
	inside.at("/" + cachePlace)
	note, err := inside.note()
	if err != nil {
		return err
	}
	cache := filepath.Join(top, cachePlace)
	err = errors.Join(
		os.WriteFile(filepath.Join(work, "hostname"), []byte(n.Hostname+"\n"), 0o644),
		os.MkdirAll(cache, 0o755), os.MkdirAll(filepath.Join(top, programsPlace), 0o755),
	)
	for _, name := range programs { // copied: who runs the scripts may not come to where they are
		to := filepath.Join(top, programsPlace, name)
		err = errors.Join(err, copyFile(filepath.Join(n.Programs, name), to), os.Chmod(to, 0o755))
	}
	for _, file := range []string{n.machines.Path, n.machines.Manifest, n.machines.SBOM} {
		err = errors.Join(err, os.Symlink(file, filepath.Join(cache, filepath.Base(file))))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(cache, inside.Key+noteSuffix), note, 0o644),
		os.WriteFile(filepath.Join(work, "newest"), []byte(filepath.Base(inside.Path)+"\n"), 0o644))
	if err != nil {
		return fmt.Errorf("write the nutshell: %w", err)
	}
	return nil
}
