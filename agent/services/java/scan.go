package java

import (
	"archive/zip"
	stdbytes "bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Bounds of looking through a program.
const (
	maxMember = 32 << 20 // bytes of one file that is looked through; what is larger counts as found
	maxJars   = 2 << 30  // bytes of all that are in jars
)

// found is what a program is told by.
type found struct {
	dynamic bool // it may take requests that its web.xml does not name
	javax   bool // it was made for what came before Jakarta
}

// What stands in the constants of a class, or in a text. A class that adds servlets or filters by itself has the type of what it gets.
var (
	dynamicWords = [][]byte{
		[]byte("servlet/annotation/WebServlet"), []byte("servlet/annotation/WebFilter"), []byte("servlet/annotation/ServletSecurity"),
		[]byte("servlet/ServletRegistration"), []byte("servlet/FilterRegistration"),
	}
	javaxWords = [][]byte{[]byte("javax/servlet/"), []byte("javax.servlet.")}
)

// Files of jars by which a container finds what may take requests.
var dynamicFiles = []string{
	"META-INF/web-fragment.xml", "META-INF/services/jakarta.servlet.ServletContainerInitializer", "META-INF/services/javax.servlet.ServletContainerInitializer",
}

var textual = []string{".class", ".jsp", ".jspx", ".jspf", ".tag", ".tagx", ".tld", ".xml", ".properties"}

// look looks through a program, jars included.
func look(ctx context.Context, program *os.Root) (found, error) {
	var f found
	left := int64(maxJars)
	err := fs.WalkDir(program.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := program.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		inside, classes := strings.CutPrefix(name, "WEB-INF/classes/")
		switch {
		case path.Ext(name) == ".jar" && path.Dir(name) == "WEB-INF/lib":
			f.jar(ctx, file, info.Size(), &left)
		case classes && slices.Contains(dynamicFiles, inside):
			f.dynamic = true
		case slices.Contains(textual, path.Ext(name)):
			f.file(file, info.Size())
		}
		return ctx.Err()
	})
	return f, err
}

// jar looks through a jar. One that cannot be read may hold anything but what Tomcat runs.
func (f *found) jar(ctx context.Context, r io.ReaderAt, size int64, left *int64) {
	all, err := zip.NewReader(r, size)
	if err != nil {
		f.dynamic = true
		return
	}
	for _, m := range all.File {
		if ctx.Err() != nil || f.dynamic && f.javax {
			return
		}
		if slices.Contains(dynamicFiles, m.Name) {
			f.dynamic = true
		}
		if path.Ext(m.Name) != ".class" && !strings.HasPrefix(m.Name, "META-INF/services/javax.servlet.") {
			continue
		}
		if *left -= int64(min(m.UncompressedSize64, maxJars)); *left < 0 {
			f.dynamic = true
			return
		}
		body, err := m.Open()
		if err != nil {
			f.dynamic = true
			continue
		}
		f.file(body, int64(min(m.UncompressedSize64, maxMember+1)))
		body.Close()
	}
}

// file looks through one file.
func (f *found) file(r io.Reader, size int64) {
	data, err := io.ReadAll(io.LimitReader(r, maxMember))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || size > maxMember {
		f.dynamic = true
	}
	has := func(words [][]byte) bool {
		return slices.ContainsFunc(words, func(w []byte) bool { return stdbytes.Contains(data, w) })
	}
	f.dynamic = f.dynamic || has(dynamicWords)
	f.javax = f.javax || has(javaxWords)
}
