package e2e

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// source is one Go file of the project. The rules read the files themselves: the go command's answers come
// from a cache that does not see every change.
type source struct {
	path      string // from the top of the project, with slashes
	test      bool   // a test, or part of a package that only tests import
	generated bool
	lines     int
	fset      *token.FileSet
	file      *ast.File
}

func (s source) dir() string { return path.Dir(s.path) }

func (s source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// imports gives the paths that the file imports.
func (s source) imports() []string {
	var all []string
	for _, spec := range s.file.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			all = append(all, name)
		}
	}
	return all
}

func parse(name string, text []byte) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	return source{
		path: name, test: strings.HasSuffix(name, "_test.go") || helper(path.Dir(name)),
		generated: ast.IsGenerated(file), lines: bytes.Count(text, []byte("\n")), fset: fset, file: file,
	}, nil
}

// helper tells whether a package exists for tests: its name ends in test, or it is e2e.
func helper(dir string) bool {
	return strings.HasSuffix(dir, "test") || within(dir, "client/e2e")
}

// within tells whether a slash-separated name is prefix or below it.
func within(name, prefix string) bool {
	return name == prefix || strings.HasPrefix(name, prefix+"/")
}

const top = "../.."

// sources gives every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	files(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		s, err := parse(name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		all = append(all, s)
	})
	if len(all) < 100 {
		t.Fatalf("only %d Go files were found; the rules would hold nothing", len(all))
	}
	return all
}

// files visits the text files that the module is made of; other modules and what the build makes are left out.
func files(t *testing.T, visit func(name string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(top, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, file)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); name == "." {
			return nil
		}
		if entry.IsDir() {
			if name == ".git" || name == "bin" || otherModule(file) {
				return filepath.SkipDir
			}
			return nil
		}
		switch path.Ext(name) {
		case ".go", ".txtar":
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			visit(name, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func otherModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
