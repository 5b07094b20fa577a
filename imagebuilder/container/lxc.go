// Package container writes the archive of a root file system in the forms that container engines take.
//
// It must not know recipes, builds or their cache, nor run programs.
package container

import (
	"archive/tar"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"text/template"
	"time"
)

// Image says what is written about an image.
type Image struct {
	Name         string // one line for people
	Architecture string // as Debian names it
	Distribution string // for example debian
	Release      string // for example bookworm
	Created      time.Time
}

//go:embed lxc
var lxcFiles embed.FS

// lxcNames has the members before the root file system. The templates are files that the engine writes in each new
// container, for cloud-init's data source NoCloud.
var lxcNames = []string{
	"metadata.yaml", "templates/hostname.tpl", "templates/cloud-init-meta.tpl", "templates/cloud-init-network.tpl",
	"templates/cloud-init-user.tpl", "templates/cloud-init-vendor.tpl",
}

// WriteLXC writes a unified image, as `incus image import` and `lxc image import` take it: metadata.yaml, its templates
// and the files below rootfs.
func WriteLXC(ctx context.Context, rootTar, file string, i Image) error {
	if err := writeFile(file, func(out io.Writer) error { return lxc(ctx, rootTar, out, i) }); err != nil {
		return fmt.Errorf("write the LXC image: %w", err)
	}
	return nil
}

func lxc(ctx context.Context, rootTar string, w io.Writer, i Image) error {
	out := tar.NewWriter(w)
	for _, name := range lxcNames {
		text, err := lxcFiles.ReadFile("lxc/" + name)
		if err != nil {
			return err
		}
		if name == "metadata.yaml" {
			var filled strings.Builder
			if err := template.Must(template.New(name).Parse(string(text))).Execute(&filled, i); err != nil {
				return err
			}
			text = []byte(filled.String())
		}
		if err := add(out, name, text, i.Created); err != nil {
			return err
		}
	}
	f, err := os.Open(rootTar)
	if err != nil {
		return err
	}
	defer f.Close()
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeLink {
			h.Linkname = below(h.Linkname)
		}
		h.Name = below(h.Name)
		h.Format = tar.FormatUnknown // a longer name may need another one
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}

func below(name string) string {
	inside := path.Join("rootfs", path.Clean("/"+name))
	if strings.HasSuffix(name, "/") {
		inside += "/"
	}
	return inside
}

// add puts a small file into an archive.
func add(out *tar.Writer, name string, content []byte, at time.Time) error {
	err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: at.Truncate(time.Second)})
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return err
}

// writeFile makes a file; one that fails is removed.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
