package sbom

import (
	"archive/tar"
	"bufio"
	"io"
	"path"
	"slices"
	"strings"
)

// lists is where dpkg notes the files of each package, also those that it was told to leave out.
const lists = "var/lib/dpkg/info/"

// kept is what of the packages is there.
type kept struct {
	sizes map[string]int64    // of what is at a path, in the bytes that packages count for it
	lists map[string][]string // the paths of each package, by the name of its list
}

// counted is the unit of a package's size, and what it counts for a directory or a link.
const counted = 1 << 10

// add notes a member of the archive.
func (k kept) add(h *tar.Header, in io.Reader) error {
	name := path.Clean(h.Name)
	k.sizes["/"+name] = counted
	switch h.Typeflag {
	case tar.TypeReg:
		k.sizes["/"+name] = (h.Size + counted - 1) / counted * counted
	case tar.TypeLink:
		k.sizes["/"+name] = 0 // as large as the file that has the same content
	}
	file, ok := strings.CutPrefix(name, lists)
	if !ok || path.Ext(file) != ".list" {
		return nil
	}
	var paths []string
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		paths = append(paths, lines.Text())
	}
	k.lists[strings.TrimSuffix(file, ".list")] = paths
	return lines.Err()
}

// leftOut gives the bytes of a package's files that are not there, about: packages count in whole KiB. It is 0 where dpkg
// has no list of its files.
func (k kept) leftOut(p Package) int64 {
	paths, ok := k.lists[p.Name]
	if !ok {
		paths, ok = k.lists[p.Name+":"+p.Architecture]
	}
	if !ok {
		return 0
	}
	left := p.Size
	for _, at := range paths {
		size, there := k.sizes[at]
		if !there { // where /lib and its like are links into /usr
			size = k.sizes["/usr"+at]
		}
		left -= size
	}
	return max(left, 0)
}

// LeftOut gives those packages of which so many bytes or more are not there, the largest part first, and the bytes that
// all others lack.
func (c Contents) LeftOut(least int64) (list []Package, others int64) {
	for _, p := range c.Packages {
		if p.LeftOut >= least {
			list = append(list, p)
		} else {
			others += p.LeftOut
		}
	}
	slices.SortStableFunc(list, func(a, b Package) int { return int(b.LeftOut - a.LeftOut) })
	return list, others
}
