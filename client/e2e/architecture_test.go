package e2e

import (
	"cmp"
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "conpaas"

// mayImport is the table of the design (ARCHITECTURE, section 2): which folders of this module the packages of
// a folder may import, beside the folder itself. The longest folder that fits counts.
var mayImport = map[string][]string{
	"certs":           {},
	"vpn":             {},
	"client":          {"client/command"},
	"client/api":      {},
	"client/archive":  {},
	"client/wire":     {"client/api", "certs"},
	"client/daemon":   {"client/api"},
	"client/join":     {"client/api", "client/wire", "certs"},
	"client/director": {"client/api", "client/wire", "certs"},
	"client/manager":  {"client/api", "client/wire", "certs"},
	"client/agent":    {"client/api", "client/wire", "certs"},
	"client/login":    {"client/api", "client/daemon", "client/director"},
	"client/ui":       {},
	"client/manifest": {"client/api"},
	"client/command":  {"client/api", "client/director", "client/login", "client/manifest", "client/ui", "client/daemon"},
	"client/e2e":      {"client", "director", "manager", "agent", "imagebuilder", "certs", "vpn"},
	"director":        {"client/api", "client/archive", "client/wire", "client/daemon", "client/manager", "certs", "vpn"},
	"manager":         {"client/api", "client/wire", "client/daemon", "client/agent", "client/join", "certs", "vpn"},
	"agent":           {"client/api", "client/archive", "client/wire", "client/daemon", "client/join", "certs", "vpn"},
	"imagebuilder":    {"client/api", "client/daemon", "client/director", "client/login", "client/ui"},
}

// testsMayImport is what tests and the packages for tests may import beside that: what they drive.
var testsMayImport = []string{"client", "certs", "vpn"}

// floors orders the packages of a component below its program: one may import those of its own floor and of the
// floors after it. What is not named is on the lowest.
var (
	components = []string{"director", "manager", "agent", "imagebuilder"}
	floors     = [][]string{{"command"}, {"httpapi", "web"}, {"app"}}
)

// homes says where a library may be used, beside tests: each has one home (decision 0001 for os/exec). A library
// that is not listed has none yet: whoever brings it decides here.
var homes = map[string][]string{
	"os/exec":                                {"agent/host", "director/cloud/local", "imagebuilder", "client/daemon/proc", "client/daemon/pid1"},
	"gorm.io":                                {"director/store"},
	"github.com/go-gormigrate/gormigrate":    {"director/store"},
	"github.com/mattn/go-sqlite3":            {"director/store"},
	"golang.zx2c4.com/wireguard/wgctrl":      {"vpn/wg"},
	"golang.zx2c4.com/wireguard":             {"vpn/wg", "vpn/relay"},
	"github.com/spf13/cobra":                 {"client/command", "client/daemon/command", "director/command", "manager/command", "agent/command", "imagebuilder/command"},
	"github.com/spf13/pflag":                 {"client/command"},
	"github.com/danielgtaylor/huma":          {"client/wire"},
	"github.com/labstack/echo":               {"client/wire"},
	"github.com/hashicorp/yamux":             {"client/wire"},
	"github.com/prometheus/client_golang":    {"client/wire"},
	"gopkg.in/ini.v1":                        {"director/config", "imagebuilder/recipe"},
	"gopkg.in/yaml.v3":                       {"client/manifest", "client/ui"},
	"golang.org/x/term":                      {"client/ui"},
	"golang.org/x/text":                      {"client/ui"},
	"rsc.io/qr":                              {"client/ui"},
	"golang.org/x/crypto/argon2":             {"director/auth"},
	"golang.org/x/crypto":                    {"vpn"},
	"golang.org/x/net/http/httpguts":         {"client/wire"},
	"golang.org/x/net":                       {"vpn"},
	"github.com/vishvananda/netlink":         {"vpn", "agent/host", "director/cloud/local"},
	"github.com/vishvananda/netns":           {"vpn", "director/cloud/local"},
	"github.com/google/nftables":             {"agent/host", "director/cloud/local"},
	"github.com/opencontainers/runtime-spec": {"director/cloud/local"},
	"github.com/go-sql-driver/mysql":         {"agent/services/mysql"},
	"github.com/google/renameio":             {"client/daemon", "director/cloud/local", "director/store"},
	"github.com/xi2/xz":                      {"client/archive"},
	"github.com/cenkalti/backoff":            {""},
	"golang.org/x/sys":                       {""},
	"golang.org/x/sync":                      {""},
	"golang.org/x/time":                      {""},
	"github.com/google/go-cmp":               {},
	"github.com/opencontainers/image-spec":   {},
	"github.com/rogpeppe/go-internal":        {},
	"go.uber.org/goleak":                     {},
	"pgregory.net/rapid":                     {},
	"golang.zx2c4.com/wireguard/tun/tuntest": {},
}

// topLevel is all that the top folder may hold.
var topLevel = strings.Fields(`director manager agent client imagebuilder vpn certs debian docs .ci .git .gitignore .golangci.yml
	go.mod go.sum Makefile README.md LICENSE bin bench.json`)

// longest gives the key of a table that is the longest prefix of a name.
func longest[V any](table map[string]V, name string) (string, bool) {
	best, found := "", false
	for key := range table {
		if within(name, key) && (!found || len(key) > len(best)) {
			best, found = key, true
		}
	}
	return best, found
}

// checkImports holds mayImport and floors for one file.
func checkImports(s source) []string {
	var broken []string
	for _, name := range s.imports() {
		target, ours := strings.CutPrefix(name, module+"/")
		if !ours {
			continue
		}
		folder, ok := longest(mayImport, s.dir())
		if !ok {
			broken = append(broken, fmt.Sprintf("%s: the folder %s is in no row of the import table", s.path, s.dir()))
			break
		}
		if !s.test && helper(target) {
			broken = append(broken, fmt.Sprintf("%s imports %s, which is for tests only", s.path, target))
		}
		allowed := append(slices.Clone(mayImport[folder]), folder)
		if folder == "client" { // the program, not everything below
			allowed = mayImport[folder]
		}
		if s.test {
			allowed = append(allowed, testsMayImport...)
		}
		if !slices.ContainsFunc(allowed, func(prefix string) bool { return within(target, prefix) }) && !(s.test && helper(target)) {
			broken = append(broken, fmt.Sprintf("%s imports %s; packages below %s may import %s", s.path, target, folder, strings.Join(allowed, ", ")))
		}
		if !s.test && component(target) == component(s.dir()) && floor(target) < floor(s.dir()) {
			broken = append(broken, fmt.Sprintf("%s imports %s, which is above it", s.path, target))
		}
	}
	return broken
}

func component(dir string) string { return strings.Split(dir, "/")[0] }

// floor is the depth of a package inside its component; the program is above everything. Elsewhere there are no
// floors.
func floor(dir string) int {
	if !slices.Contains(components, component(dir)) {
		return 0
	}
	parts := strings.Split(dir, "/")
	if len(parts) == 1 {
		return -1
	}
	if i := slices.IndexFunc(floors, func(names []string) bool { return slices.Contains(names, parts[1]) }); i >= 0 {
		return i
	}
	return len(floors)
}

// checkHomes holds homes for one file.
func checkHomes(s source) []string {
	var broken []string
	for _, name := range s.imports() {
		if within(name, module) || !strings.Contains(strings.Split(name, "/")[0], ".") && name != "os/exec" {
			continue
		}
		library, ok := longest(homes, name)
		switch {
		case !ok:
			broken = append(broken, fmt.Sprintf("%s imports %s, which has no home yet: decide on one in homes", s.path, name))
		case s.test:
		case !slices.ContainsFunc(homes[library], func(home string) bool { return home == "" || within(s.dir(), home) }):
			broken = append(broken, fmt.Sprintf("%s imports %s, whose home is %s", s.path, name, cmp.Or(strings.Join(homes[library], ", "), "tests")))
		}
	}
	return broken
}

// checkDocs asks for a docstring of every exported thing that is declared at the top of a file.
func checkDocs(s source) []string {
	if strings.HasSuffix(s.path, "_test.go") || s.generated || s.file.Name.Name == "main" {
		return nil
	}
	var broken []string
	lacks := func(n ast.Node, name string) {
		broken = append(broken, fmt.Sprintf("%s: %s has no docstring", s.at(n), name))
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
				lacks(d, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if name := undocumented(d, spec); name != "" {
					lacks(spec, name)
				}
			}
		}
	}
	return broken
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	kind := d.Recv.List[0].Type
	for {
		switch k := kind.(type) {
		case *ast.StarExpr:
			kind = k.X
		case *ast.IndexExpr:
			kind = k.X
		case *ast.IndexListExpr:
			kind = k.X
		case *ast.Ident:
			return k.IsExported()
		default:
			return false
		}
	}
}

// undocumented gives the exported name of a spec without a docstring. A comment on a group of constants or
// variables is one for each of them, and so is one at the end of the line.
func undocumented(d *ast.GenDecl, spec ast.Spec) string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && spec.Doc == nil && (d.Doc == nil || d.Lparen.IsValid()) {
			return spec.Name.Name
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && spec.Doc == nil && spec.Comment == nil && d.Doc == nil {
				return name.Name
			}
		}
	}
	return ""
}

// checkBanned finds what no file may have.
func checkBanned(s source) []string {
	const unverified = "Insecure" + "SkipVerify" // in two parts, or this file would be found
	var broken []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if n.Name == unverified {
				broken = append(broken, s.at(n)+": certificates are verified everywhere, "+unverified+" is banned")
			}
		case *ast.SelectorExpr:
			if name := n.Sel.Name; s.test && (name == "Skip" || name == "Skipf" || name == "SkipNow") {
				broken = append(broken, s.at(n)+": a test that needs something installs it or fails, it is never skipped")
			}
		}
		return true
	})
	const most = 400
	if s.lines > most && !s.generated {
		broken = append(broken, fmt.Sprintf("%s has %d lines; split it by topic before it has more than %d", s.path, s.lines, most))
	}
	return broken
}

func report(t *testing.T, check func(source) []string) {
	t.Helper()
	for _, s := range sources(t) {
		for _, text := range check(s) {
			t.Error(text)
		}
	}
}

func TestArchitectureImports(t *testing.T)      { report(t, checkImports) }
func TestArchitectureThirdParties(t *testing.T) { report(t, checkHomes) }
func TestArchitectureDocstrings(t *testing.T)   { report(t, checkDocs) }
func TestArchitectureBanned(t *testing.T)       { report(t, checkBanned) }

func TestArchitecturePackageComments(t *testing.T) {
	comments, packages := map[string][]string{}, map[string]bool{}
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		packages[s.dir()] = true
		if s.file.Doc != nil && !directivesOnly(s.file.Doc) {
			comments[s.dir()] = append(comments[s.dir()], path.Base(s.path))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if n := len(comments[dir]); n != 1 {
			t.Errorf("package %s has %d package comments %v; it has one, which says what it is and what it must not know", dir, n, comments[dir])
		}
	}
}

func directivesOnly(doc *ast.CommentGroup) bool { return strings.TrimSpace(doc.Text()) == "" }

func TestArchitectureTopLevel(t *testing.T) {
	entries, err := os.ReadDir(top)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s does not belong into the top folder, which is fixed", e.Name())
		}
	}
}

func TestArchitectureScriptsSkipNothing(t *testing.T) {
	files(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, ".txtar") {
			return
		}
		for number, line := range strings.Split(string(text), "\n") {
			if words := strings.Fields(line); len(words) > 0 && (words[0] == "skip" || len(words) > 1 && words[0][0] == '[' && words[1] == "skip") {
				t.Errorf("%s:%d: a story is never skipped", name, number+1)
			}
		}
	})
}
