package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// WriteJSON writes v as an indented JSON document. Characters that a terminal might obey are written as
// \u escapes, which mean the same.
func WriteJSON(w io.Writer, v any) error {
	data, err := marshal(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(escape(data, jsonEscape))
	return err
}

// WriteJSONLine writes v as JSON on one line, for streams of documents.
func WriteJSONLine(w io.Writer, v any) error {
	data, err := marshal(v, "")
	if err != nil {
		return err
	}
	_, err = w.Write(escape(data, jsonEscape))
	return err
}

// WriteYAML writes v as a YAML document with the field names and the order of its JSON form.
func WriteYAML(w io.Writer, v any) error {
	data, err := marshal(v, "")
	if err != nil {
		return err
	}
	var document yaml.Node
	// JSON is YAML but for its surrogate pairs and for characters such as U+0085, which end a line in YAML.
	if err := yaml.Unmarshal(escape(data, yamlEscape), &document); err != nil {
		return fmt.Errorf("turn JSON into YAML: %w", err)
	}
	block(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	_, err = w.Write(escape(out.Bytes(), yamlEscape))
	return err
}

func marshal(v any, indent string) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return out.Bytes(), nil
}

// older matches texts that YAML 1.1, which many programs still speak, takes for booleans or numbers to base 60.
var older = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$|^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

// block forgets the JSON spelling of every node. A text with unprintable characters stays double-quoted, so
// that escape may change it.
func block(n *yaml.Node) {
	unprintable := strings.ContainsFunc(n.Value, func(r rune) bool { return !printable(r) })
	switch {
	case n.Kind == yaml.ScalarNode && (unprintable || n.Tag == "!!str" && older.MatchString(n.Value)):
		n.Style = yaml.DoubleQuotedStyle
	case len(n.Content) == 0 && (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode):
		n.Style = yaml.FlowStyle // {} and [] have no block form
	default:
		n.Style = 0
	}
	for _, child := range n.Content {
		block(child)
	}
}

// escape replaces unprintable characters, all of which stand inside double quotes, by what spell gives.
func escape(data []byte, spell func(r rune) string) []byte {
	var out bytes.Buffer
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if printable(r) || r == '\n' {
			out.Write(data[:size])
		} else {
			out.WriteString(spell(r))
		}
		data = data[size:]
	}
	return out.Bytes()
}

func jsonEscape(r rune) string {
	if r <= 0xffff {
		return fmt.Sprintf(`\u%04x`, r)
	}
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}

func yamlEscape(r rune) string { return fmt.Sprintf(`\U%08x`, r) }
