package ui_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"conpaas/client/ui"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

type thing struct {
	ID    int            `json:"id"`
	Name  string         `json:"display_name"`
	Empty []string       `json:"empty"`
	Nodes map[string]int `json:"nodes,omitempty"`
	When  string         `json:"when"`
}

func TestYAMLHasTheNamesAndTheOrderOfJSON(t *testing.T) {
	var out bytes.Buffer
	v := thing{ID: 7, Name: "no", Empty: []string{}, Nodes: map[string]int{"web": 2}, When: "<a> & \"b\""}
	if err := ui.WriteYAML(&out, v); err != nil {
		t.Fatal(err)
	}
	want := `id: 7
display_name: "no"
empty: []
nodes:
  web: 2
when: <a> & "b"
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Whatever a text holds, both forms give it back and show nothing that a terminal obeys.
func TestDocumentsKeepEveryText(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("a \t\n\r\x00\x1b\x7f\u0085\u009b\u2028\u202e\ufeff\U000e0001🙂:#-'\"\\{}[]"))))
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{"key": text.Draw(t, "value"), text.Draw(t, "name"): []any{text.Draw(t, "item")}}
		for form, write := range map[string]func(*bytes.Buffer) error{
			"json": func(b *bytes.Buffer) error { return ui.WriteJSON(b, in) },
			"line": func(b *bytes.Buffer) error { return ui.WriteJSONLine(b, in) },
			"yaml": func(b *bytes.Buffer) error { return ui.WriteYAML(b, in) },
		} {
			var out bytes.Buffer
			if err := write(&out); err != nil {
				t.Fatal(err)
			}
			if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
				t.Fatalf("%s: unprintable character at %d of %q", form, i, out.String())
			}
			read := json.Unmarshal
			if form == "yaml" {
				read = yaml.Unmarshal
			}
			back := map[string]any{}
			if err := read(out.Bytes(), &back); err != nil {
				t.Fatalf("%s %q: %v", form, out.String(), err)
			}
			if diff := cmp.Diff(in, back); diff != "" {
				t.Fatalf("%s %q: %s", form, out.String(), diff)
			}
		}
	})
}
