package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func small() Limits { return Limits{Bytes: 1 << 20, Entries: 50, Depth: 4, Ratio: 200} }

func TestBadArchives(t *testing.T) {
	good := file("index.php", "<?php")
	many := make([]entry, 51)
	for i := range many {
		many[i] = file(fmt.Sprint(i), "")
	}
	for name, c := range map[string]struct {
		entries []entry
		says    string
		tarOnly bool
	}{
		"empty":                   {nil, "is empty", false},
		"up":                      {[]entry{file("../x", "")}, `member "../x" has .. in its name`, false},
		"up inside":               {[]entry{file("a/../../x", "")}, "has .. in its name", false},
		"up that stays":           {[]entry{file("a/../x", "")}, "has .. in its name", false},
		"absolute":                {[]entry{file("/etc/passwd", "")}, "has an absolute name", false},
		"no name":                 {[]entry{file("", "x")}, "without a name", false},
		"backslash":               {[]entry{file(`a\..\x`, "")}, `has a \ in its name`, false},
		"control":                 {[]entry{file("a\nb", "")}, "control character", false},
		"not UTF-8":               {[]entry{file("a\xff", "")}, "not UTF-8", false},
		"long part":               {[]entry{file(strings.Repeat("x", 256), "")}, "256 bytes in its name", false},
		"long name":               {[]entry{file(strings.Repeat("x/", 1100)+"x", "")}, "has a name of 2201 bytes", false},
		"deep":                    {[]entry{file("1/2/3/4/5", "")}, "5 levels deep", false},
		"many":                    {many, "more than 50 members", false},
		"large":                   {[]entry{file("a", strings.Repeat("ab", 400_000)), file("b", strings.Repeat("ba", 400_000))}, `member "b" makes the archive more than 1 MiB`, false},
		"twice":                   {[]entry{good, file("./index.php", "x")}, `comes twice`, false},
		"file and directory":      {[]entry{file("a", ""), {name: "a", kind: tar.TypeDir}}, `comes twice`, false},
		"directory and file":      {[]entry{file("a/b", ""), file("a", "")}, `member "a" comes twice`, false},
		"below a file":            {[]entry{file("a", ""), file("a/b", "")}, `no directory in this archive`, false},
		"below a link":            {[]entry{{name: "a", link: ".", kind: tar.TypeSymlink}, file("a/b", "")}, `no directory in this archive`, false},
		"far below a link":        {[]entry{{name: "a", link: ".", kind: tar.TypeSymlink}, file("a/b/c/d", "")}, `no directory in this archive`, false},
		"link absolute":           {[]entry{{name: "a", link: "/etc", kind: tar.TypeSymlink}}, "may lead out", false},
		"link up":                 {[]entry{{name: "a", link: "..", kind: tar.TypeSymlink}}, "may lead out", false},
		"link up from below":      {[]entry{{name: "d/a", link: "../../x", kind: tar.TypeSymlink}}, "may lead out", false},
		"link through a link":     {[]entry{{name: "d/here", link: ".", kind: tar.TypeSymlink}, {name: "a", link: "d/here/../../x", kind: tar.TypeSymlink}}, "may lead out", false},
		"link to nothing":         {[]entry{{name: "a", link: "", kind: tar.TypeSymlink}}, "may lead out", false},
		"twice a link":            {[]entry{{name: "a", link: "x", kind: tar.TypeSymlink}, file("a", "y")}, "comes twice", false},
		"hard link out":           {[]entry{{name: "a", link: "../x", kind: tar.TypeLink}}, "is a hard link to", true},
		"hard link to a link":     {[]entry{{name: "l", link: "x", kind: tar.TypeSymlink}, {name: "a", link: "l", kind: tar.TypeLink}}, "is a hard link to", true},
		"hard link to later":      {[]entry{{name: "a", link: "b", kind: tar.TypeLink}, file("b", "")}, "is a hard link to", true},
		"device":                  {[]entry{{name: "null", kind: tar.TypeChar}}, "is a device", false},
		"block device":            {[]entry{{name: "sda", kind: tar.TypeBlock}}, "is a device", true},
		"pipe":                    {[]entry{{name: "p", kind: tar.TypeFifo}}, "named pipe", true},
		"unknown type":            {[]entry{{name: "p", kind: 'V'}}, "unknown type", true},
		"the directory no dir":    {[]entry{file("a", ""), file("./.", "x")}, "current directory itself", false},
		"the directory as a link": {[]entry{{name: ".", link: "x", kind: tar.TypeSymlink}}, "current directory itself", true},
	} {
		t.Run(name, func(t *testing.T) {
			archives := map[string][]byte{Tar: makeTar(t, c.entries...)}
			archives[TarGzip] = compress(t, archives[Tar])
			if !c.tarOnly {
				archives[Zip] = makeZip(t, c.entries...)
			}
			for format, data := range archives {
				_, err := check(data, format, small())
				var own *Error
				if !errors.As(err, &own) || !strings.Contains(err.Error(), c.says) || own.Remedy == "" {
					t.Errorf("%s: the check says %v; want %q", format, err, c.says)
				}
				if _, again := extract(t, data, format, small()); fmt.Sprint(again) != fmt.Sprint(err) {
					t.Errorf("%s: the extraction says %v; the check %v", format, again, err)
				}
			}
		})
	}
}

// A symbolic link that is let through leads to no place outside, however it is combined with others.
func TestLinksStayInside(t *testing.T) {
	dir, err := extract(t, makeTar(t,
		entry{name: "a/b/up", link: "../..", kind: tar.TypeSymlink},
		entry{name: "x", link: "a/b/up/a/b/up", kind: tar.TypeSymlink},
		file("f", "here"),
	), Tar, small())
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := filepath.EvalSymlinks(dir); real != want {
		t.Errorf("x is %s; want %s", real, want)
	}
}

func TestBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", 40<<20)
	l := DefaultLimits()
	for format, data := range map[string][]byte{
		TarGzip: compress(t, makeTar(t, file("zeros", zeros))), Zip: makeZip(t, file("zeros", zeros)),
	} {
		if _, err := check(data, format, l); err == nil || !strings.Contains(err.Error(), "200 times its size") {
			t.Errorf("%s: %v", format, err)
		}
	}
	// A gzip bomb whose tar is one header with a long name, and a file of holes.
	if _, err := check(compress(t, bytes.Repeat([]byte{0}, 200<<20)), TarGzip, l); err == nil {
		t.Error("zeros were let through")
	}
	// A dictionary of 4 GiB in an xz header of a few bytes (its CRC is right).
	huge := []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x28\x00\x00\x00")
	huge = append(huge, 0xe6, 0xa0, 0x11, 0xb3)
	if _, err := check(append(huge, make([]byte, 64)...), TarXZ, l); err == nil || !strings.Contains(err.Error(), "dictionary") {
		t.Errorf("a huge dictionary: %v", err)
	}
}

// The list of a zip archive is bounded while it is read, whatever its end says of its length.
func TestMillionMembers(t *testing.T) {
	var out bytes.Buffer
	header := append([]byte("PK\x01\x02"), make([]byte, 42)...)
	header[28] = 1 // a name of one byte
	header = append(header, 'x')
	out.WriteString("PK\x03\x04")
	for range 1_000_000 {
		out.Write(header)
	}
	size := out.Len() - 4
	end := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	count := 1_000_000 % 65536
	end[8], end[9], end[10], end[11] = byte(count), byte(count>>8), byte(count), byte(count>>8)
	for i := range 4 {
		end[12+i] = byte(size >> (8 * i))
	}
	end[16] = 4
	out.Write(end)
	if _, err := check(out.Bytes(), Zip, DefaultLimits()); err == nil || !strings.Contains(err.Error(), "too many members") {
		t.Errorf("%v", err)
	}
	var names bytes.Buffer
	w := tar.NewWriter(&names)
	for i := range 1_000_000 {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint(i), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if i > DefaultLimits().Entries+10 {
			break // what follows is not read
		}
	}
	if _, err := check(names.Bytes(), Tar, DefaultLimits()); err == nil || !strings.Contains(err.Error(), "more than 100000 members") {
		t.Errorf("%v", err)
	}
}
