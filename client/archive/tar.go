package archive

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/xi2/xz"
)

// maxDictionary bounds the memory that an xz archive may ask for: xz -9 uses 64 MiB.
const maxDictionary = 64 << 20

func (c *checker) tar(r io.ReaderAt, format string) error {
	stream, err := decompress(io.NewSectionReader(r, 0, c.size), format)
	if err != nil {
		return err
	}
	raw := &stretch{c: c, r: stream}
	reader := tar.NewReader(raw)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		m, ok, err := tarMember(header)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		m.body = reader
		if err := c.add(m); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, raw) // the sum over the whole comes last
	return err
}

func decompress(r io.Reader, format string) (io.Reader, error) {
	switch format {
	case TarGzip:
		return gzip.NewReader(bufio.NewReader(r))
	case TarBzip2:
		return bzip2.NewReader(bufio.NewReader(r)), nil
	case TarXZ:
		return xz.NewReader(bufio.NewReader(r), maxDictionary)
	default:
		return r, nil
	}
}

// tarMember gives false for what is no member.
func tarMember(h *tar.Header) (member, bool, error) {
	m := member{name: h.Name, exec: fs.FileMode(h.Mode)&0o111 != 0, target: h.Linkname}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		m.kind = kindFile
	case tar.TypeDir:
		m.kind = kindDirectory
	case tar.TypeSymlink:
		m.kind = kindLink
	case tar.TypeLink:
		m.kind, m.hard = kindLink, true
	case tar.TypeXGlobalHeader: // of git archive
		return member{}, false, nil
	case tar.TypeChar, tar.TypeBlock:
		return member{}, false, &Error{Member: h.Name, Problem: "is a device", Remedy: remedySpecial}
	case tar.TypeFifo:
		return member{}, false, &Error{Member: h.Name, Problem: "is a named pipe", Remedy: remedySpecial}
	default:
		return member{}, false, &Error{Member: h.Name, Problem: fmt.Sprintf("is of the unknown type %q", h.Typeflag), Remedy: remedySpecial}
	}
	return m, true, nil
}

const remedySpecial = "pack only files and directories"

// stretch counts what comes out of the decompressor: headers and padding too can be a bomb.
type stretch struct {
	c    *checker
	r    io.Reader
	read int64
}

// perHeader is what a member may take beside its content: its header, padding and long names.
const perHeader = 4 << 10

func (s *stretch) Read(p []byte) (int, error) {
	if err := s.c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	if most := s.c.limits.Bytes + int64(s.c.limits.Entries)*perHeader + freeBytes; s.read > most {
		return n, &Error{Problem: fmt.Sprintf("has more than %d MiB unpacked", most>>20), Remedy: "leave out what the program does not need"}
	}
	if bomb := s.c.bomb(s.read); bomb != nil {
		return n, bomb
	}
	return n, err
}
