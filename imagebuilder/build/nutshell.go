package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"conpaas/imagebuilder/recipe"
)

// nutshellTree has files of a nutshell by their places in it, with @HOSTNAME@ for its name.
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

// nutshellLinks are the links of a nutshell by their places in it: what starts at boot, and what the console shows.
var nutshellLinks = map[string]string{
	"etc/issue.d/conpaas.issue": "/run/conpaas.issue",
	"etc/systemd/system/multi-user.target.wants/conpaas-director.service": "/etc/systemd/system/conpaas-director.service",
	"etc/systemd/system/multi-user.target.wants/conpaas-nutshell.service": "/etc/systemd/system/conpaas-nutshell.service",
	"etc/systemd/system/sysinit.target.wants/nftables.service":            "/lib/systemd/system/nftables.service",
}

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
	if tell := o.Progress; tell != nil {
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
	fmt.Fprintln(sum, n.Hostname, n.machines.Key, n.machines.SHA256, nutshellLinks)
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

// fill gives a copy, in the directory of a build, of the archive of a root file system, with the nutshell's files added.
func (n nutshell) fill(ctx context.Context, rootTar, work string) (string, error) {
	top, file := filepath.Join(work, nutshellDir), filepath.Join(work, "nutshell.tar")
	err := n.write(top)
	if err == nil {
		err = n.try(ctx, top)
	}
	if err == nil {
		err = copyFile(rootTar, file)
	}
	if err == nil {
		err = runHere(ctx, "tar", "--append", "--file="+file, "--owner=root:0", "--group=root:0", "--mode=u=rwX,go=rX", "--directory="+top, "./etc", "./usr", "./var")
	}
	if err != nil {
		return "", fmt.Errorf("fill the nutshell: %w", err)
	}
	return file, os.RemoveAll(top)
}

// write writes the nutshell's files below a directory.
func (n nutshell) write(top string) error {
	err := fs.WalkDir(nutshellTree, nutshellDir, func(name string, e fs.DirEntry, err error) error {
		to := filepath.Join(top, strings.TrimPrefix(name, nutshellDir))
		if err != nil || e.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o755))
		}
		text, err := nutshellTree.ReadFile(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(text, []byte("#!/bin/sh")) {
			mode = 0o755
		}
		return os.WriteFile(to, bytes.ReplaceAll(text, []byte("@HOSTNAME@"), []byte(n.Hostname)), mode)
	})
	if err != nil {
		return err
	}
	bin, cache := filepath.Join(top, programsPlace), filepath.Join(top, cachePlace)
	if err := errors.Join(os.MkdirAll(bin, 0o755), os.MkdirAll(cache, 0o755)); err != nil {
		return err
	}
	for _, name := range programs {
		to := filepath.Join(bin, name)
		if err := errors.Join(copyFile(filepath.Join(n.Programs, name), to), os.Chmod(to, 0o755)); err != nil {
			return err
		}
	}
	inside := n.machines
	inside.at("/" + cachePlace)
	note, err := inside.note()
	if err != nil {
		return err
	}
	for _, file := range []string{n.machines.Path, n.machines.Manifest, n.machines.SBOM} {
		err = errors.Join(err, link(file, filepath.Join(cache, filepath.Base(file))))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(cache, inside.Key+noteSuffix), note, 0o644), os.Symlink(filepath.Base(inside.Path), filepath.Join(cache, "rootfs.tar")))
	for name, to := range nutshellLinks {
		at := filepath.Join(top, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(to, at))
	}
	return err
}

// try runs the programs that are put in: the director likes its configuration, and cps makes the names of the original's
// tools.
func (n nutshell) try(ctx context.Context, top string) error {
	bin := filepath.Join(top, programsPlace)
	return errors.Join(
		runHere(ctx, filepath.Join(bin, "cpsdirector"), "config", "check", "--config", filepath.Join(top, "etc/cpsdirector/director.cfg")),
		runHere(ctx, filepath.Join(bin, "cps"), "install-links", bin),
	)
}

func runHere(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, bytes.TrimSpace(out))
	}
	return nil
}
