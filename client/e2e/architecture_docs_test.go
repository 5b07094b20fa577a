package e2e

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"conpaas/client/api"
)

var (
	docLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docPath  = regexp.MustCompile("`([a-z.]+/[A-Za-z0-9_.{},*/-]+)[`:]")
	docWhere = regexp.MustCompile("`([a-z0-9_/]+\\.go): ([A-Za-z0-9_.]+)`")
	docTest  = regexp.MustCompile("`(?:[a-z/0-9]+: )?((?:Test|Benchmark)[A-Z][A-Za-z0-9]*)`")
	docRun   = regexp.MustCompile(`-run '?([A-Z][A-Za-z]*)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// What the pages say is where they say: links and their headings, files and folders of the tree, functions of files.
func TestArchitectureDocs(t *testing.T) {
	declared := declarations(t)
	eachPage(t, func(page, text string) {
		for _, broken := range checkPage(page, text, declared) {
			t.Error(broken)
		}
	})
}

// The example of the page for authors of services, which is a copy of helloworld.
const (
	authorsPage = "docs/contributing/service.md"
	authorsType = "notice"
)

// eachPage visits README.md and the pages below docs.
func eachPage(t *testing.T, visit func(page, text string)) {
	t.Helper()
	pages := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(top, "docs"), func(file string, _ fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(top, file); path.Ext(name) == ".md" {
			pages = append(pages, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(top, page))
		if err != nil {
			t.Fatal(err)
		}
		if page == authorsPage {
			text = bytes.ReplaceAll(text, []byte(authorsType), []byte(api.Helloworld))
		}
		visit(page, string(text))
	}
}

// checkPage gives what a page says that is not so. A word in capitals stands for any.
func checkPage(page, text string, declared map[string][]string) (broken []string) {
	for _, m := range docLink.FindAllStringSubmatch(text, -1) {
		if err := checkLink(page, text, m[1]); err != nil {
			broken = append(broken, fmt.Sprintf("%s: the link %s: %v", page, m[1], err))
		}
	}
	for _, m := range docPath.FindAllStringSubmatch(text, -1) {
		name := strings.TrimSuffix(m[1], "/")
		first, _, _ := strings.Cut(name, "/")
		stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
		if !slices.Contains(topLevel, first) || first == "bin" || strings.HasPrefix(name, "docs/changes/") || strings.ToLower(name) != name && stem != "README" {
			continue
		}
		if there, err := filepath.Glob(filepath.Join(top, regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(name, "*"))); err != nil || len(there) == 0 {
			broken = append(broken, fmt.Sprintf("%s speaks of %s, which is not there", page, m[1]))
		}
	}
	for _, m := range docTest.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(declared[anyTest], m[1]) {
			broken = append(broken, fmt.Sprintf("%s speaks of %s, which is no test", page, m[1]))
		}
	}
	for _, m := range docRun.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(declared[anyTest], func(test string) bool { return strings.Contains(test, m[1]) }) {
			broken = append(broken, fmt.Sprintf("%s runs %s, and no test is called like that", page, m[1]))
		}
	}
	for _, m := range docWhere.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(declared[path.Base(m[1])], path.Ext("." + m[2])[1:]) {
			broken = append(broken, fmt.Sprintf("%s speaks of %s in %s, which has no such thing", page, m[2], m[1]))
		}
	}
	return broken
}

func checkLink(page, text, link string) error {
	file, anchor, _ := strings.Cut(link, "#")
	if strings.Contains(file, "://") || strings.HasPrefix(file, "mailto:") {
		return nil
	}
	if file != "" {
		content, err := os.ReadFile(filepath.Join(top, path.Dir(page), file))
		if info, failed := os.Stat(filepath.Join(top, path.Dir(page), file)); failed != nil {
			return failed
		} else if info.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		text = string(content)
	}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		if anchorOf(m[1]) == anchor {
			return nil
		}
	}
	if anchor != "" {
		return fmt.Errorf("there is no heading #%s", anchor)
	}
	return nil
}

// anchorOf gives the anchor of a heading as the pages' viewers make it.
func anchorOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r > 127:
			return r
		}
		return -1
	}, strings.ToLower(title))
}

// anyTest is the key of the tests among declarations.
const anyTest = "test"

// declarations gives what files of a name declare, methods included.
func declarations(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, s := range sources(t) {
		name := path.Base(s.path)
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				all[name] = append(all[name], d.Name.Name)
				if s.test {
					all[anyTest] = append(all[anyTest], d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						all[name] = append(all[name], spec.Name.Name)
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							all[name] = append(all[name], n.Name)
						}
					}
				}
			}
		}
	}
	return all
}

// The rule of the pages finds what it is for.
func TestArchitectureDocsRuleFindsWhatItIsFor(t *testing.T) {
	declared := map[string][]string{"call.go": {"next"}}
	for text, finds := range map[string]string{
		"[x](../architecture.md#the-picture)":                "",
		"[x](../nowhere.md)":                                 "no such file",
		"[x](../architecture.md#nowhere)":                    "no heading",
		"[x](#here)\n\n## Here":                              "",
		"[x](https://example.org/nowhere)":                   "",
		"`client/api/catalog.go: catalogue`":                 "speaks of catalogue",
		"`manager/app/call.go: next`, `call.go: core.next`":  "",
		"go test . -run 'Nothing'":                           "no test is called like that",
		"`vpn/wg: TestNothing`":                              "TestNothing, which is no test",
		"`client/api/nowhere.go`":                            "nowhere.go, which is not there",
		"`client/api/php.go`, `client/api/TYPE.go`":          "",
		"`client/e2e/testdata/{process,container}/*.txtar`,": "",
		"`shop/hello` and `bin/cps`":                         "",
	} {
		found := strings.Join(checkPage("docs/contributing/x.md", text, declared), "\n")
		if finds == "" && found != "" || !strings.Contains(found, finds) {
			t.Errorf("%s\nfound %q, want %q", text, found, finds)
		}
	}
}
