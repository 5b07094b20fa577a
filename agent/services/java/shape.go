package java

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"conpaas/agent/host"
	"conpaas/agent/services/hosting"
	"conpaas/client/archive"
)

// Directories of a version.
const (
	programs  = "programs"  // what Tomcat runs: ROOT in it is the program
	converted = "converted" // the same for Jakarta, where the program was not
	staticDir = "static"    // links to the files of the program that nginx may serve
	root      = "ROOT"
)

// programsDir gives the directory whose ROOT is run, below the host's state directory.
func programsDir(p hosting.Site, id string) string {
	dir := p.Code() + "/" + id
	if all, err := p.Host.State().Directories(dir + "/" + converted); err == nil && len(all) > 0 {
		return dir + "/" + converted
	}
	return dir + "/" + programs
}

// Shape implements hosting.Shaper: the program goes to programs/ROOT, and static gets what nginx may serve. An archive whose only member
// at the top is a .war is that .war.
func (*runner) Shape(ctx context.Context, p hosting.Site, dir string, say hosting.Say) error {
	h := p.Host
	all, err := h.State().Directory(dir)
	if err != nil {
		return err
	}
	defer all.Close()
	members, err := fs.ReadDir(all.FS(), ".")
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	target := dir + "/" + programs + "/" + root
	if len(members) == 1 && members[0].Type().IsRegular() && strings.EqualFold(path.Ext(members[0].Name()), ".war") {
		if err := unpackWar(ctx, h, all, members[0].Name(), target); err != nil {
			return err
		}
	} else if err := moveIn(h, dir, members, target); err != nil {
		return err
	}
	program, err := h.State().Directory(target)
	if err != nil {
		return err
	}
	defer program.Close()
	say("it is looked through")
	return linkStatic(ctx, h, program, target, dir+"/"+staticDir)
}

// moveIn puts what lies in a directory into another one inside it.
func moveIn(h *host.Host, dir string, members []fs.DirEntry, target string) error {
	const inside = "/.program" // no name that a member may not have, too: all are moved at once
	if err := mkdirs(h, dir+inside); err != nil {
		return err
	}
	for _, m := range members {
		if m.Name() == path.Base(inside) {
			return &archive.Error{Member: m.Name(), Problem: "has a name that ConPaaS uses itself", Remedy: "give it another name"}
		}
		if err := h.State().Rename(dir+"/"+m.Name(), dir+inside+"/"+m.Name()); err != nil {
			return err
		}
	}
	if err := mkdirs(h, path.Dir(target)); err != nil {
		return err
	}
	return h.State().Rename(dir+inside, target)
}

func mkdirs(h *host.Host, dir string) error { return h.State().Mkdir(dir, 0o755, host.User{}) }

// unpackWar takes the place of a .war by what is in it.
func unpackWar(ctx context.Context, h *host.Host, all *os.Root, name, target string) error {
	for _, dir := range []string{path.Dir(target), target} {
		if err := mkdirs(h, dir); err != nil {
			return err
		}
	}
	war, err := all.Open(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer war.Close()
	info, err := war.Stat()
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	to, err := h.State().Directory(target)
	if err != nil {
		return err
	}
	defer to.Close()
	err = archive.Extract(ctx, war, info.Size(), archive.Zip, to, archive.DefaultLimits())
	if bad := new(archive.Error); errors.As(err, &bad) {
		return &archive.Error{Member: name, Problem: "is no .war file that can be used", Err: bad, Remedy: "build it again"}
	}
	return errors.Join(err, all.Remove(name))
}
