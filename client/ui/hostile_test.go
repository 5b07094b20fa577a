package ui_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"conpaas/client/ui"

	"gopkg.in/yaml.v3"
)

// hostile are names that deceive a terminal or push columns, each with what is shown of it.
var hostile = map[string]string{
	"clear\x1b[2J":                          `clear\x1b[2J`,
	"title\x1b]0;root\x07":                  `title\x1b]0;root\a`,
	"csi\u009b31m":                          `csi\u009b31m`,
	"two\nlines":                            `two\nlines`,
	"over\rwritten":                         `over\rwritten`,
	"a\ttab\vand\fmore":                     `a\ttab\vand\fmore`,
	"back\b\b\b\bspace":                     `back\b\b\b\bspace`,
	"next\u0085line\u2028x":                 `next\u0085line\u2028x`,
	"rtl\u202etxt.exe":                      `rtl\u202etxt.exe`,
	"isolate\u2067x\u2069":                  `isolate\u2067x\u2069`,
	"mark\u200f\u061c":                      `mark\u200f\u061c`,
	"zero\u200bwidth\ufeff":                 `zero\u200bwidth\ufeff`,
	"joined\u200d":                          `joined\u200d`,
	"soft\u00adhyphen":                      `soft\u00adhyphen`,
	"no\u00a0break\u3000":                   `no\u00a0break\u3000`,
	"filler\u3164\u115f":                    `filler\u3164\u115f`,
	"selector\ufe0f":                        `selector\ufe0f`,
	"tag\U000e0041":                         `tag\U000e0041`,
	"private\ue000":                         `private\ue000`,
	"\u0301leading":                         `\u0301leading`,
	"z\u0301\u0302\u0303\u0304\u0305\u0306": "z\u0301\u0302\u0303\u0304" + `\u0305\u0306`,
	"broken\xff\xc3":                        `broken\xff\xc3`,
	"cut\xe6\x97":                           `cut\xe6\x97`,
	"nul\x00del\x7f":                        `nul\x00del\x7f`,
	"日本語のアプリ":                               "日本語のアプリ",
	"\u1112\u1161\u11ab":                    "\u1112\u1161\u11ab", // one syllable
	"e\u0301tude":                           "e\u0301tude",
	"ｆｕｌｌ ｗｉｄｔｈ":                            "ｆｕｌｌ ｗｉｄｔｈ",
	"🙂 emoji":                               "🙂 emoji",
	"שלום":                                  "שלום",
}

// harmless tells of a text whether it has so many lines, and nothing but what is seen.
func harmless(t *testing.T, what, text string, lines int) {
	t.Helper()
	if bad := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) || r == '\u3164' || r == '\ufe0f' }); bad >= 0 {
		t.Errorf("%s: %q obeys or hides at %d", what, text, bad)
	}
	if got := strings.Count(text, "\n"); got != lines {
		t.Errorf("%s: %q has %d lines, want %d", what, text, got, lines)
	}
}

func TestTablesAndFieldsKeepTheirColumns(t *testing.T) {
	var out bytes.Buffer
	table := ui.Table{Columns: []ui.Column{{Name: "name"}, {Name: "right", Right: true}, {Name: "last"}}}
	fields := ui.Fields{}
	for name := range hostile {
		table.Rows = append(table.Rows, []string{name, name, "END"})
		fields = append(fields, ui.Field{Name: name, Value: "END " + name})
	}
	if err := table.Write(ui.Screen{Writer: &out}); err != nil {
		t.Fatal(err)
	}
	harmless(t, "table", out.String(), len(hostile)+1)
	aligned(t, "table", strings.Replace(out.String(), "LAST", "END", 1))
	for _, shown := range hostile {
		if !strings.Contains(out.String(), shown+" ") {
			t.Errorf("the table does not show %s", shown)
		}
	}
	out.Reset()
	if err := fields.Write(ui.Screen{Writer: &out}); err != nil {
		t.Fatal(err)
	}
	harmless(t, "fields", out.String(), len(hostile))
	aligned(t, "fields", out.String())
}

// aligned holds that END stands in the same place of every line.
func aligned(t *testing.T, what, text string) {
	t.Helper()
	place := -1
	for line := range strings.Lines(text) {
		before, _, found := strings.Cut(line, "END")
		if got := ui.Width(before); !found || place >= 0 && got != place {
			t.Errorf("%s: END is in column %d of %q, want %d", what, got, line, place)
		} else {
			place = got
		}
	}
}

func TestDocumentsAndProgressShowHostileNames(t *testing.T) {
	for name, shown := range hostile {
		if got := ui.Clean(name); got != shown {
			t.Errorf("Clean(%q) = %q, want %q", name, got, shown)
		}
		var out bytes.Buffer
		s := ui.Screen{Writer: &out}
		progress := ui.NewProgress(s, name)
		progress.Step(time.Now(), name)
		progress.State(name)
		progress.Note(name)
		progress.End()
		harmless(t, "progress", out.String(), 3)

		valid := strings.ToValidUTF8(name, "\ufffd")
		for form, write := range map[string]func() error{
			"JSON line": func() error { return ui.WriteJSONLine(s, map[string]string{"name": name}) },
			"YAML":      func() error { return ui.WriteYAML(s, map[string]string{"name": name}) },
		} {
			out.Reset()
			if err := write(); err != nil {
				t.Fatalf("%s of %q: %v", form, name, err)
			}
			harmless(t, form, out.String(), 1)
			var back map[string]string
			read := json.Unmarshal
			if form == "YAML" {
				read = yaml.Unmarshal
			}
			if err := read(out.Bytes(), &back); err != nil || strings.ReplaceAll(back["name"], "\ufffd\ufffd", "\ufffd") != valid {
				t.Errorf("%s of %q is read as %q, %v", form, name, back["name"], err)
			}
		}
	}
}
