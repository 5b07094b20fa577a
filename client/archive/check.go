package archive

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names (Linux: NAME_MAX, PATH_MAX with room for the directory that they are extracted in).
const (
	maxElement = 255
	maxName    = 2048
)

// kind is what stands under a name.
type kind byte

const (
	kindDirectory kind = iota + 1
	kindImplied        // a directory that has no member of its own yet
	kindFile
	kindLink
)

// visitor takes members that were checked. Names are clean and relative, with slashes, and each comes once;
// directories may come after what is in them, or not at all.
type visitor interface {
	directory(name string) error
	file(name string, executable bool, body io.Reader) error
	symlink(name, target string) error
	hardlink(name, target string) error
}

// checker is one walk through an archive.
type checker struct {
	ctx     context.Context // of the one call that the walk is
	limits  Limits
	size    int64
	visitor visitor
	kinds   map[string]kind
	members int
	bytes   int64
}

// member is one member as the archive has it.
type member struct {
	name   string
	kind   kind
	hard   bool // a hard link
	target string
	exec   bool
	body   io.Reader
}

func (c *checker) add(m member) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.members++; c.members > c.limits.Entries {
		return &Error{Problem: fmt.Sprintf("has more than %d members", c.limits.Entries), Remedy: "leave out what the program does not need"}
	}
	name, err := c.name(m.name)
	if err != nil {
		return err
	}
	if name == "." && m.kind == kindDirectory {
		return nil
	}
	if err := c.place(name, m.kind); err != nil {
		return err
	}
	switch {
	case m.kind == kindDirectory:
		return c.visitor.directory(name)
	case m.kind == kindFile:
		return c.visitor.file(name, m.exec, &body{c: c, r: m.body, name: name})
	case m.hard:
		target, err := c.name(m.target)
		if err != nil || c.kinds[target] != kindFile {
			return &Error{Member: m.name, Problem: fmt.Sprintf("is a hard link to %.200q, which is no file before it in the archive", m.target), Remedy: "pack the file itself (tar --hard-dereference)"}
		}
		c.kinds[name] = kindFile
		return c.visitor.hardlink(name, target)
	default:
		if !inside(name, m.target) {
			return &Error{Member: m.name, Problem: fmt.Sprintf("is a link that may lead out of the archive, to %.200q", m.target), Remedy: "pack what it points to in its place (tar -h), or make it a relative link"}
		}
		return c.visitor.symlink(name, m.target)
	}
}

// name refuses names that are not plain names below the current directory, and cleans the rest.
func (c *checker) name(name string) (string, error) {
	bad := func(problem, remedy string) (string, error) {
		return "", &Error{Member: name, Problem: problem, Remedy: remedy}
	}
	const rename = "give it another name"
	switch {
	case name == "":
		return "", &Error{Problem: "has a member without a name", Remedy: remedyPack}
	case len(name) > maxName:
		return bad(fmt.Sprintf("has a name of %d bytes; at most %d are allowed", len(name), maxName), rename)
	case !utf8.ValidString(name):
		return bad("has a name that is not UTF-8", "pack it where names are in UTF-8, or "+rename)
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("has a control character in its name", rename)
	case strings.Contains(name, `\`):
		return bad(`has a \ in its name`, "pack it with a program that separates directories by /")
	case strings.HasPrefix(name, "/"):
		return bad("has an absolute name", "pack it with names relative to the current directory (tar -C DIRECTORY .)")
	}
	parts := strings.Split(name, "/")
	depth := 0
	for _, p := range parts {
		switch {
		case p == "..":
			return bad("has .. in its name", "pack it with names below the current directory (tar -C DIRECTORY .)")
		case len(p) > maxElement:
			return bad(fmt.Sprintf("has a part of %d bytes in its name; at most %d are allowed", len(p), maxElement), rename)
		case p != "" && p != ".":
			depth++
		}
	}
	if depth > c.limits.Depth {
		return bad(fmt.Sprintf("lies %d levels deep; at most %d are allowed", depth, c.limits.Depth), "pack a flatter directory")
	}
	return path.Clean(name), nil
}

// place notes that something of that kind stands under a name, where nothing or the same directory stands.
func (c *checker) place(name string, k kind) error {
	if name == "." {
		return &Error{Member: name, Problem: "is the current directory itself and no directory", Remedy: remedyPack}
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		switch c.kinds[dir] {
		case 0:
			c.kinds[dir] = kindImplied
			continue
		case kindDirectory, kindImplied:
		default:
			return &Error{Member: name, Problem: fmt.Sprintf("lies in %.200q, which is no directory in this archive", dir), Remedy: remedyPack}
		}
		break // what is above a directory was looked at when that came
	}
	old := c.kinds[name]
	if old != 0 && (k != kindDirectory || old != kindDirectory && old != kindImplied) {
		return &Error{Member: name, Problem: "comes twice", Remedy: "pack it again into a new archive, each file once"}
	}
	c.kinds[name] = k
	return nil
}

// inside tells whether a link surely stays inside: it goes up only at its beginning, and not further than it lies
// deep. What it goes down through is a directory, or a link for which the same was asked.
func inside(name, target string) bool {
	if target == "" || len(target) > maxName || strings.HasPrefix(target, "/") || strings.ContainsFunc(target, unicode.IsControl) || !utf8.ValidString(target) {
		return false
	}
	left := strings.Count(name, "/")
	down := false
	for p := range strings.SplitSeq(target, "/") {
		switch {
		case p == ".." && (down || left == 0):
			return false
		case p == "..":
			left--
		case p != "" && p != ".":
			down = true
		}
	}
	return true
}

// body is a file's content, counted.
type body struct {
	c    *checker
	r    io.Reader
	name string
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	b.c.bytes += int64(n)
	if b.c.bytes > b.c.limits.Bytes {
		return n, &Error{Member: b.name, Problem: fmt.Sprintf("makes the archive more than %d MiB unpacked", b.c.limits.Bytes>>20), Remedy: "leave out what the program does not need; keep data in a database"}
	}
	if bomb := b.c.bomb(b.c.bytes); bomb != nil {
		return n, bomb
	}
	return n, err
}

// bomb refuses what is much more unpacked than packed.
func (c *checker) bomb(unpacked int64) error {
	if unpacked-freeBytes <= c.size*c.limits.Ratio {
		return nil
	}
	return &Error{Problem: fmt.Sprintf("becomes more than %d times its size when it is unpacked", c.limits.Ratio), Remedy: "leave out files that are almost empty, for example disk images"}
}
