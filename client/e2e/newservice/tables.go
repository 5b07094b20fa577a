package main

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// row says where a table has the template's row; the new one is its copy.
type row struct {
	file string
	last bool // the new row is the last of the table; else it comes after the template's
	find func(ast.Node) (table []ast.Expr, at int)
}

var rows = []row{
	{"client/api/catalog.go", true, catalogRow},
	{"manager/services/services.go", true, halfRow},
	{"agent/services/services.go", true, halfRow},
	{"client/command/root.go", false, commandRow},
}

// register adds a row for the type to every table.
func (p pieces) register(root, name string) error {
	for _, r := range rows {
		text, err := os.ReadFile(filepath.Join(root, r.file))
		if err != nil {
			return err
		}
		if text, err = r.add(text, name); err != nil {
			return fmt.Errorf("%s: %w", r.file, err)
		}
		p[r.file] = piece{text: text}
	}
	const links = "docs/environment.md"
	text, err := os.ReadFile(filepath.Join(root, links))
	if err != nil {
		return err
	}
	before, after, found := strings.Cut(string(text), "| "+template+" |")
	if !found {
		return fmt.Errorf("%s has no row of %s", links, template)
	}
	line, _, _ := strings.Cut(after, "\n")
	line = "| " + template + " |" + line + "\n"
	p[links] = piece{text: []byte(before + line + rename(line, name) + strings.TrimPrefix("| "+template+" |"+after, line))}
	return nil
}

// add gives the text of a Go file with the row.
func (r row) add(text []byte, name string) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, r.file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var table []ast.Expr
	at := -1
	ast.Inspect(file, func(n ast.Node) bool {
		if at < 0 && n != nil {
			table, at = r.find(n)
		}
		return at < 0
	})
	if at < 0 {
		return nil, fmt.Errorf("it has no row of %s any more", template)
	}
	offset := func(pos token.Pos) int { return files.Position(pos).Offset }
	end := table[at].End()
	added := string(text[offset(table[at].Pos()):offset(end)])
	if r.last {
		end = table[len(table)-1].End()
	}
	added = strings.Replace(rename(added, name), ": the template for authors of services", "", 1)
	separator := ", "
	if files.Position(table[0].Pos()).Line != files.Position(table[len(table)-1].Pos()).Line && r.last {
		separator = ",\n"
	}
	changed := string(text[:offset(end)]) + separator + added + string(text[offset(end):])
	return format.Source([]byte(imported(changed, name)))
}

// imported adds an import beside that of the template, where the file has one.
func imported(text, name string) string {
	for line := range strings.Lines(text) {
		if strings.HasSuffix(strings.TrimSpace(line), "/services/"+template+`"`) {
			return strings.Replace(text, line, line+rename(line, name), 1)
		}
	}
	return text
}

// isTemplate tells whether an expression is the template's type, as a constant or as text.
func isTemplate(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == title(template)
	case *ast.SelectorExpr:
		return e.Sel.Name == title(template)
	}
	return false
}

// catalogRow finds the row whose Type is the template's.
func catalogRow(n ast.Node) ([]ast.Expr, int) {
	table, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil, -1
	}
	for i, e := range table.Elts {
		kind, ok := e.(*ast.CompositeLit)
		if !ok {
			continue
		}
		for _, field := range kind.Elts {
			pair, ok := field.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Type" && isTemplate(pair.Value) {
				return table.Elts, i
			}
		}
	}
	return nil, -1
}

// halfRow finds the pair whose key is the template's type.
func halfRow(n ast.Node) ([]ast.Expr, int) {
	table, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil, -1
	}
	for i, e := range table.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok && isTemplate(pair.Key) {
			return table.Elts, i
		}
	}
	return nil, -1
}

// commandRow finds the argument that makes the template's commands.
func commandRow(n ast.Node) ([]ast.Expr, int) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil, -1
	}
	for i, e := range call.Args {
		if made, ok := e.(*ast.CallExpr); ok {
			if f, ok := made.Fun.(*ast.Ident); ok && f.Name == "new"+title(template)+"Command" {
				return call.Args, i
			}
		}
	}
	return nil, -1
}
