package all

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conpaas/director/cloud"
)

var update = flag.Bool("update", false, "write the tables of options in docs/clouds")

const (
	docs       = "../../../docs/clouds"
	beginTable = "<!-- The options, from the driver: go test ./director/cloud/all -update -->\n"
	endTable   = "<!-- End of the options -->\n"
)

// table is what the page of a cloud says of its options.
func table(d cloud.Driver) string {
	var b strings.Builder
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ")
	for _, o := range d.Options {
		value := "none"
		switch {
		case o.Required:
			value = "must be set"
		case o.Default != "":
			value = "`" + o.Default + "`"
		}
		help := o.Help
		if o.Secret {
			help += " (secret: shown as `***`)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.Name, value, cell.Replace(help))
	}
	return b.String()
}

// Every kind of cloud has a page, whose table of options is the driver's.
func TestDocs(t *testing.T) {
	t.Parallel()
	for kind, driver := range Drivers() {
		file := filepath.Join(docs, kind+".md")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("cloud %s has no page: %v", kind, err)
			continue
		}
		before, rest, begins := strings.Cut(string(text), beginTable)
		kept, after, ends := strings.Cut(rest, endTable)
		if !begins || !ends {
			t.Errorf("%s: the marks of the table are missing:\n%s%s", file, beginTable, endTable)
			continue
		}
		want := table(driver)
		if *update && kept != want {
			if err := os.WriteFile(file, []byte(before+beginTable+want+endTable+after), 0o644); err != nil {
				t.Fatal(err)
			}
			kept = want
		}
		if kept != want {
			t.Errorf("%s has\n%s\nthe driver has\n%s\nwrite it with: go test ./director/cloud/all -update", file, kept, want)
		}
	}
	pages, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		kind := strings.TrimSuffix(filepath.Base(page), ".md")
		if _, known := Drivers()[kind]; !known && !slices.Contains([]string{"README"}, kind) {
			t.Errorf("%s is of a cloud that does not exist", page)
		}
	}
}
