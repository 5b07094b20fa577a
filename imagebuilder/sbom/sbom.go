// Package sbom tells what packages the archive of a root file system holds: as a manifest, one line each, and as a bill
// of materials in the form of SPDX 2.3.
//
// It must not know recipes, builds or their cache.
package sbom

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Package is one installed package, as dpkg knows it.
type Package struct {
	Name, Version, Architecture string
	Source                      string // name of the source package
	Size                        int64  // bytes that it takes by its own word
	LeftOut                     int64  // of them, those of files that are not there
}

// Contents is what is in a root file system.
type Contents struct {
	Packages []Package // by name
	Bytes    int64     // of all regular files
}

// status is where dpkg notes what is installed.
const status = "var/lib/dpkg/status"

// Read looks into the tar archive of a root file system.
func Read(archive string) (Contents, error) {
	f, err := os.Open(archive)
	if err != nil {
		return Contents{}, fmt.Errorf("read the packages: %w", err)
	}
	defer f.Close()
	var c Contents
	found, k := false, kept{sizes: map[string]int64{}, lists: map[string][]string{}}
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Contents{}, fmt.Errorf("read the packages of %s: %w", archive, err)
		}
		if h.Typeflag == tar.TypeReg {
			c.Bytes += h.Size
		}
		if path.Clean(h.Name) == status {
			found = true
			c.Packages, err = parse(in)
		} else {
			err = k.add(h, in)
		}
		if err != nil {
			return Contents{}, fmt.Errorf("read the packages of %s: %w", archive, err)
		}
	}
	if !found {
		return Contents{}, fmt.Errorf("read the packages of %s: there is no /%s in it", archive, status)
	}
	for i, p := range c.Packages {
		c.Packages[i].LeftOut = k.leftOut(p)
	}
	slices.SortFunc(c.Packages, func(a, b Package) int {
		return strings.Compare(a.Name+":"+a.Architecture, b.Name+":"+b.Architecture)
	})
	return c, nil
}

// parse reads the stanzas of dpkg's status file; packages that are not installed are left out.
func parse(r io.Reader) ([]Package, error) {
	var list []Package
	var now Package
	installed := false
	flush := func() {
		if installed && now.Name != "" {
			if now.Source == "" {
				now.Source = now.Name
			}
			list = append(list, now)
		}
		now, installed = Package{}, false
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "":
			flush()
		case "Package":
			now.Name = value
		case "Version":
			now.Version = value
		case "Architecture":
			now.Architecture = value
		case "Source":
			now.Source, _, _ = strings.Cut(value, " ") // a version of its own in brackets
		case "Installed-Size":
			kib, err := strconv.ParseInt(value, 10, 40)
			if err != nil {
				return nil, fmt.Errorf("size %q of package %s: %w", value, now.Name, err)
			}
			now.Size = kib << 10
		case "Status":
			installed = strings.HasSuffix(value, " installed")
		}
	}
	flush()
	return list, lines.Err()
}

// Manifest writes name, version and architecture of each package in a line.
func (c Contents) Manifest(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, p := range c.Packages {
		fmt.Fprintln(out, p.Name, p.Version, p.Architecture)
	}
	return out.Flush()
}
