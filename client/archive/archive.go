// Package archive reads the archives in which users send code: it recognizes them, checks them and extracts
// them. Every archive is hostile: names, links, counts and sizes are bounded, and the check that a director makes
// at the upload is the same walk as the extraction on a node.
//
// It knows nothing of services, versions, HTTP or where an archive is kept.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Formats of archives.
const (
	Tar      = "tar"
	TarGzip  = "tar.gz"
	TarBzip2 = "tar.bz2"
	TarXZ    = "tar.xz"
	Zip      = "zip"
)

// Limits bound what an archive may hold. Every field is to be positive.
type Limits struct {
	Bytes   int64 // of all files together, unpacked
	Entries int   // members
	Depth   int   // directories above one another
	Ratio   int64 // unpacked bytes for each byte of the archive, beyond the first 16 MiB
}

// DefaultLimits are those of code versions.
func DefaultLimits() Limits {
	return Limits{Bytes: 1 << 30, Entries: 100_000, Depth: 32, Ratio: 200}
}

// freeBytes are not subject to Ratio: small archives of very regular text are no bombs.
const freeBytes = 16 << 20

// Summary is what an archive holds.
type Summary struct {
	Files, Directories, Links int
	Bytes                     int64    // of the files, unpacked
	Top                       []string // first names at the top, sorted, 10 at most
}

// maxTop bounds Summary.Top.
const maxTop = 10

// Error says what is wrong with an archive and what to do about it.
type Error struct {
	Member  string // "" where it is the archive itself
	Problem string
	Remedy  string
	Err     error // nil where the archive can be read
}

// Error names the member, the problem and the remedy.
func (e *Error) Error() string {
	text := "the archive " + e.Problem
	if e.Member != "" {
		text = fmt.Sprintf("member %.200q %s", e.Member, e.Problem)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + "; " + e.Remedy
}

// Unwrap gives the error of the decoder.
func (e *Error) Unwrap() error { return e.Err }

// HeadBytes is how much of an archive Format wants to see.
const HeadBytes = 512

// Format tells the format of an archive by its first HeadBytes bytes; the name it was uploaded under only serves
// for the error.
func Format(filename string, head []byte) (string, error) {
	for _, m := range []struct{ magic, format string }{
		{"\x1f\x8b", TarGzip}, {"BZh", TarBzip2}, {"\xfd7zXZ\x00", TarXZ}, {"PK\x03\x04", Zip}, {"PK\x05\x06", Zip},
	} {
		if strings.HasPrefix(string(head), m.magic) {
			return m.format, nil
		}
	}
	if isTar(head) {
		return Tar, nil
	}
	return "", fmt.Errorf("%.200q is no archive that is known here; send a tar, tar.gz, tar.bz2, tar.xz or zip archive that expands in the current directory", filename)
}

// isTar looks for the sum over a tar header (POSIX.1-2017, pax, "ustar Interchange Format"), which archives older
// than the magic have as well.
func isTar(head []byte) bool {
	if len(head) < HeadBytes {
		return false
	}
	var want, sum int64
	digits := strings.Trim(string(head[148:156]), " \x00")
	if _, err := fmt.Sscanf(digits, "%o", &want); err != nil {
		return false
	}
	for i, b := range head[:HeadBytes] {
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += int64(b)
	}
	return sum == want
}

// Check reads a whole archive and tells what it holds. An *Error names the member that is wrong.
func Check(r io.ReaderAt, size int64, format string, l Limits) (Summary, error) {
	s := &summarizer{tops: map[string]bool{}}
	if err := walk(context.Background(), r, size, format, l, s); err != nil {
		return Summary{}, err
	}
	for top := range s.tops {
		s.Top = append(s.Top, top)
	}
	slices.Sort(s.Top)
	s.Top = s.Top[:min(len(s.Top), maxTop)]
	return s.Summary, nil
}

// walk gives every member to v, checked, in the order of the archive.
func walk(ctx context.Context, r io.ReaderAt, size int64, format string, l Limits, v visitor) (err error) {
	defer func() {
		if fault := recover(); fault != nil { // a decoder that a hostile archive has confused
			err = &Error{Problem: fmt.Sprintf("cannot be read (%v)", fault), Remedy: remedyPack}
		}
	}()
	c := &checker{ctx: ctx, limits: l, size: size, visitor: v, kinds: map[string]kind{}}
	switch format {
	case Tar, TarGzip, TarBzip2, TarXZ:
		err = c.tar(r, format)
	case Zip:
		err = c.zip(r)
	default:
		return fmt.Errorf("there is no archive format %.20q; it is one of tar, tar.gz, tar.bz2, tar.xz and zip", format)
	}
	if err == nil && c.members == 0 {
		err = &Error{Problem: "is empty", Remedy: "pack the files of the program into it"}
	}
	var own *Error
	if err == nil || errors.As(err, &own) || errors.As(err, new(outside)) || ctx.Err() != nil {
		return err
	}
	return &Error{Problem: "cannot be read", Err: err, Remedy: remedyPack}
}

const remedyPack = "pack it again and try whether it unpacks where you are"

// summarizer is the visitor of Check.
type summarizer struct {
	Summary
	tops map[string]bool
}

func (s *summarizer) directory(name string) error {
	s.Directories++
	s.note(name)
	return nil
}

func (s *summarizer) file(name string, _ bool, body io.Reader) error {
	s.Files++
	s.note(name)
	n, err := io.Copy(io.Discard, body)
	s.Bytes += n
	return err
}

func (s *summarizer) symlink(name, _ string) error {
	s.Links++
	s.note(name)
	return nil
}

func (s *summarizer) hardlink(name, _ string) error { return s.symlink(name, "") }

func (s *summarizer) note(name string) {
	top, _, _ := strings.Cut(name, "/")
	s.tops[top] = true
}
