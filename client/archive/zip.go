package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
)

const encrypted = 1 // bit of the flags (APPNOTE 6.3.10, 4.4.4)

func (c *checker) zip(r io.ReaderAt) error {
	list := &directory{r: r, bytes: maxDirectory, entries: 2*c.limits.Entries + 1000}
	reader, err := zip.NewReader(list, c.size)
	if err != nil {
		return err
	}
	list.bytes, list.entries = math.MaxInt64, math.MaxInt
	if len(reader.File) > c.limits.Entries {
		return tooMany(c.limits.Entries)
	}
	for _, f := range reader.File {
		if err := c.zipMember(f); err != nil {
			return err
		}
	}
	return nil
}

func tooMany(limit int) error {
	return &Error{Problem: fmt.Sprintf("has more than %d members", limit), Remedy: "leave out what the program does not need"}
}

func (c *checker) zipMember(f *zip.File) (err error) {
	m := member{name: f.Name, exec: f.Mode()&0o111 != 0}
	if f.Flags&encrypted != 0 {
		return &Error{Member: f.Name, Problem: "is encrypted", Remedy: "pack it without a password"}
	}
	switch mode := f.Mode(); {
	case mode.IsDir() || strings.HasSuffix(f.Name, "/"):
		m.kind = kindDirectory
		return c.add(m)
	case mode&fs.ModeSymlink != 0:
		m.kind = kindLink
	case mode.IsRegular():
		m.kind = kindFile
	default:
		return &Error{Member: f.Name, Problem: "is a device or something like it", Remedy: remedySpecial}
	}
	content, err := f.Open()
	if err != nil {
		return &Error{Member: f.Name, Problem: "cannot be read", Err: err, Remedy: "pack it with the method deflate"}
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	m.body = content
	if m.kind == kindLink {
		target, err := io.ReadAll(io.LimitReader(content, maxName+1))
		if err != nil {
			return &Error{Member: f.Name, Problem: "cannot be read", Err: err, Remedy: remedyPack}
		}
		m.target = string(target)
	}
	return c.add(m)
}

// maxDirectory bounds a zip archive's list of members, which is read as a whole.
const maxDirectory = 64 << 20

var centralHeader = []byte("PK\x01\x02")

// directory bounds the reading of that list while it happens: the count at its end can be a lie. It looks for the
// headers themselves; some are seen twice, where the end of the archive is searched for its trailer.
type directory struct {
	r       io.ReaderAt
	bytes   int64 // that may still be read
	entries int   // headers that may still be seen
}

func (d *directory) ReadAt(p []byte, at int64) (int, error) {
	n, err := d.r.ReadAt(p, at)
	if d.bytes == math.MaxInt64 {
		return n, err
	}
	d.bytes -= int64(n)
	d.entries -= bytes.Count(p[:n], centralHeader)
	if d.bytes < 0 || d.entries < 0 {
		return 0, &Error{Problem: "has far too many members", Remedy: "leave out what the program does not need"}
	}
	return n, err
}
