package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// copied are the files and folders of a service type, NAME for its name.
var copied = []string{
	"client/api/NAME.go",
	"manager/services/NAME",
	"agent/services/NAME",
	"client/command/NAME.go",
	"docs/services/NAME.md",
	"client/e2e/testdata/container/NAME.txtar",
}

// piece is a file to be written.
type piece struct {
	text  []byte
	isNew bool
}

// pieces are the files to be written, by path from the top of the tree.
type pieces map[string]piece

func (p pieces) paths() []string { return slices.Sorted(maps.Keys(p)) }

// made gives all that makes the type. An error says what is in its way; the tree is not touched.
func made(root, name string) (pieces, error) {
	p := pieces{}
	for _, pattern := range copied {
		if err := p.copy(root, pattern, name); err != nil {
			return nil, err
		}
	}
	note := "docs/changes/unreleased/" + name + "-service.md"
	p[note] = piece{text: fmt.Appendf(nil, "Service type %[1]s, see [docs/services/%[1]s.md](../../services/%[1]s.md).\n", name), isNew: true}
	if err := p.free(root, name); err != nil {
		return nil, err
	}
	return p, p.register(root, name)
}

// copy takes the files of the template that a pattern names.
func (p pieces) copy(root, pattern, name string) error {
	from, to := strings.ReplaceAll(pattern, "NAME", template), strings.ReplaceAll(pattern, "NAME", name)
	if _, err := os.Lstat(filepath.Join(root, to)); err == nil {
		return fmt.Errorf("%s is there already", to)
	}
	return filepath.WalkDir(filepath.Join(root, from), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rest, err := filepath.Rel(filepath.Join(root, from), file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		target := path.Join(to, rename(filepath.ToSlash(rest), name))
		if text, err = retold(target, string(text), name); err != nil {
			return err
		}
		p[target] = piece{text: text, isNew: true}
		return nil
	})
}

// rename puts the name where the template has its own.
func rename(text, name string) string {
	article := "a "
	if strings.ContainsRune("aeiou", rune(name[0])) {
		article = "an "
	}
	return strings.NewReplacer(
		" a "+template, " "+article+name, template, name, title(template), title(name), strings.ToUpper(template), strings.ToUpper(name),
	).Replace(text)
}

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// retold gives a file of the template as one of the new type. Lines that say that it is the template are left out.
func retold(path, text, name string) ([]byte, error) {
	lines := strings.SplitAfter(text, "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "is the template for authors") })
	renamed := []byte(rename(strings.Join(lines, ""), name))
	if !strings.HasSuffix(path, ".go") {
		return renamed, nil
	}
	formatted, err := format.Source(renamed) // another name is sorted and aligned differently
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return formatted, nil
}

// free refuses names that the new files would use twice: packages that they import, and what their packages have already.
func (p pieces) free(root, name string) error {
	for _, file := range p.paths() {
		if _, err := os.Lstat(filepath.Join(root, file)); err == nil {
			return fmt.Errorf("%s is there already", file)
		}
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, p[file].text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if path.Base(imported) == name && !strings.HasSuffix(imported, "/services/"+name) {
				return fmt.Errorf("%s imports the package %s", file, imported)
			}
		}
		beside, err := filepath.Glob(filepath.Join(root, path.Dir(file), "*.go"))
		if err != nil {
			return err
		}
		if err := distinct(parsed, beside); err != nil {
			return err
		}
	}
	return nil
}

// distinct refuses a file that declares what others of its package declare.
func distinct(file *ast.File, beside []string) error {
	ours := declared(file)
	for _, other := range beside {
		text, err := os.ReadFile(other)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), other, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, name := range declared(parsed) {
			if slices.Contains(ours, name) {
				return fmt.Errorf("%s is in %s already", name, filepath.ToSlash(other))
			}
		}
	}
	return nil
}

// declared gives what a file declares for its package, methods left out.
func declared(file *ast.File) (names []string) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "_" || n == "init" })
}

// write writes the files. New ones must not be there.
func (p pieces) write(root string) error {
	for _, name := range p.paths() {
		file, flags := filepath.Join(root, name), os.O_WRONLY|os.O_TRUNC
		if p[name].isNew {
			flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
		}
		f, err := os.OpenFile(file, flags, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(p[name].text)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
