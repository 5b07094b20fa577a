package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const top = "../../.."

// A name that cannot be, or that something has already, is refused before anything is written, and the refusal names what is in the way.
func TestNamesThatAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"":                      "3 to 30 small letters",
		"ab":                    "3 to 30 small letters",
		"Foo":                   "3 to 30 small letters",
		"my-app":                "3 to 30 small letters",
		"../foo":                "3 to 30 small letters",
		"9lives":                "3 to 30 small letters",
		"日本語":                   "3 to 30 small letters",
		strings.Repeat("a", 31): "3 to 30 small letters",
		"func":                  "a word of Go",
		"string":                "a word of Go",
		"main":                  "means something else",
		"internal":              "means something else",
		"latest":                "for tests only",
		"helloworld":            "a service type of that name",
		"mysql":                 "a service type of that name",
		"application":           "cps help application",
		"output":                "cps help output",
		"haproxy":               "agent/services/haproxy is there already",
		"node":                  "cps help node",
		"error":                 "a word of Go",
		"status":                "cps help status",
		"nearest":               "client/api/nearest.go is there already",
		"spec":                  "client/api/spec.go is there already",
		"json":                  "imports the package encoding/json",
		"host":                  "imports the package conpaas/agent/host",
		"identity":              "",
	} {
		err := checkName(name)
		if err == nil {
			_, err = made(top, name)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v; want %q", name, err, want)
		}
	}
}

// What is made is all new but for the tables, each of which has one row more, and nothing of it speaks of the template.
func TestPieces(t *testing.T) {
	p, err := made(top, "orchid")
	if err != nil {
		t.Fatal(err)
	}
	for file, rows := range map[string]string{
		"client/api/catalog.go":                      `Description: "One web page per machine",`,
		"manager/services/services.go":               "api.Orchid:",
		"agent/services/services.go":                 "func() service.Half { return orchid.New() }",
		"client/command/root.go":                     "newOrchidCommand(g)",
		"docs/environment.md":                        "| orchid | `ORCHID` | 8080 |",
		"client/api/orchid.go":                       `const Orchid ServiceType = "orchid"`,
		"client/command/orchid.go":                   "cps orchid get shop orchid",
		"docs/services/orchid.md":                    "# orchid\n",
		"manager/services/orchid/orchid_test.go":     "func TestPlan(",
		"agent/services/orchid/nginx.go":             "package orchid\n",
		"client/e2e/testdata/container/orchid.txtar": "exec cps service add orchid shop",
		"docs/changes/unreleased/orchid-service.md":  "Service type orchid,",
	} {
		if n := strings.Count(string(p[file].text), rows); n != 1 {
			t.Errorf("%s has %q %d times", file, rows, n)
		}
	}
	for file, piece := range p {
		old, err := os.ReadFile(filepath.Join(top, file))
		switch {
		case piece.isNew != os.IsNotExist(err):
			t.Errorf("%s is new: %t; in the tree: %v", file, piece.isNew, err)
		case piece.isNew:
			for _, other := range []string{template, "Helloworld", "HELLOWORLD", "for authors", " a orchid"} {
				if strings.Contains(string(piece.text), other) {
					t.Errorf("%s speaks of %q", file, other)
				}
			}
		default:
			lacks := strings.Fields(string(old))
			for _, word := range strings.Fields(string(piece.text)) {
				if len(lacks) > 0 && word == lacks[0] {
					lacks = lacks[1:]
				}
			}
			if len(lacks) > 0 {
				t.Errorf("%s has lost %q", file, lacks[:min(len(lacks), 10)])
			}
		}
	}
}

// The second of the same name finds the first, and what is refused changes nothing.
func TestTwice(t *testing.T) {
	tree := t.TempDir()
	for _, pattern := range append([]string{"docs/environment.md"}, copied...) {
		copyTo(t, tree, strings.ReplaceAll(pattern, "NAME", template))
	}
	for _, r := range rows {
		copyTo(t, tree, r.file)
	}
	if err := run(tree, "orchid", io.Discard); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(tree, "client/api/catalog.go"))
	if err != nil {
		t.Fatal(err)
	}
	if err := run(tree, "orchid", io.Discard); err == nil || !strings.Contains(err.Error(), `"orchid": client/api/orchid.go is there already`) {
		t.Errorf("a second time: %v", err)
	}
	if err := run(tree, "tulip", io.Discard); err != nil {
		t.Errorf("another one: %v", err)
	}
	after, err := os.ReadFile(filepath.Join(tree, "client/api/catalog.go"))
	if err != nil {
		t.Fatal(err)
	}
	if rest, found := strings.CutPrefix(string(after), string(before[:strings.Index(string(before), "// Catalogue gives")-len("}\n\n")])); !found || strings.Count(rest, "Tulip,") != 1 {
		t.Errorf("the catalogue is now:\n%s", after)
	}
}

func copyTo(t *testing.T, tree, name string) {
	t.Helper()
	from, to := filepath.Join(top, name), filepath.Join(tree, name)
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
		var text []byte
		if text, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, text, 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
