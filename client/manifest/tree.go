package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// tree is a document before anybody knows what it means. Of fields, items and text one has a meaning, by kind.
type tree struct {
	kind   string // object, list, text, number, switch or nothing
	line   int    // from 1
	fields []field
	items  []tree
	text   string // as written; of a switch true or false
}

type field struct {
	name  string
	line  int
	value tree
}

// deepest is how deep a manifest may be nested: they need four levels.
const deepest = 16

var errDeep = fmt.Errorf("it is nested deeper than %d levels", deepest)

// readTree reads JSON when the first character is a brace or a bracket, else YAML.
func readTree(data []byte) (tree, error) {
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		return readJSON(data)
	}
	return readYAML(data)
}

func readJSON(data []byte) (t tree, err error) {
	r := jsonReader{data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	if t, err = r.value(0); err == nil {
		if _, err = r.decoder.Token(); errors.Is(err, io.EOF) {
			return t, nil
		}
		err = errors.New("something follows after the document")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle")
	}
	return t, fmt.Errorf("line %d: it is no JSON: %w", r.line(err), err)
}

type jsonReader struct {
	data    []byte
	decoder *json.Decoder
}

// line is the one that was read last, or the one of a syntax error.
func (r *jsonReader) line(err error) int {
	offset := r.decoder.InputOffset()
	if wrong := (*json.SyntaxError)(nil); errors.As(err, &wrong) {
		offset = wrong.Offset
	}
	return 1 + bytes.Count(r.data[:min(int(offset), len(r.data))], []byte("\n"))
}

func (r *jsonReader) value(depth int) (t tree, err error) {
	token, err := r.decoder.Token()
	if err != nil {
		return t, err
	}
	t.line = r.line(nil)
	switch v := token.(type) {
	case json.Delim:
		if depth++; depth > deepest {
			return t, errDeep
		}
		if v == '[' {
			t.kind = "list"
			for r.decoder.More() {
				item, err := r.value(depth)
				if err != nil {
					return t, err
				}
				t.items = append(t.items, item)
			}
		} else {
			t.kind = "object"
			for r.decoder.More() {
				key, err := r.decoder.Token()
				if err != nil {
					return t, err
				}
				f := field{name: key.(string), line: r.line(nil)}
				if f.value, err = r.value(depth); err != nil {
					return t, err
				}
				t.fields = append(t.fields, f)
			}
		}
		_, err = r.decoder.Token() // the closing one
	case string:
		t.kind, t.text = "text", v
	case json.Number:
		t.kind, t.text = "number", v.String()
	case bool:
		t.kind, t.text = "switch", fmt.Sprint(v)
	case nil:
		t.kind = "nothing"
	}
	return t, err
}

func readYAML(data []byte) (tree, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return tree{}, errors.New("it is empty")
	} else if err != nil {
		return tree{}, fmt.Errorf("it is no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return tree{}, errors.New("something follows after the document")
	}
	return yamlTree(document.Content[0], 0)
}

func yamlTree(n *yaml.Node, depth int) (t tree, err error) {
	t.line = n.Line
	if depth++; depth > deepest {
		return t, errDeep
	}
	switch n.Kind {
	case yaml.MappingNode:
		t.kind = "object"
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Kind != yaml.ScalarNode {
				return t, fmt.Errorf("line %d: a key must be a word", n.Content[i].Line)
			}
			f := field{name: n.Content[i].Value, line: n.Content[i].Line}
			if f.value, err = yamlTree(n.Content[i+1], depth); err != nil {
				return t, err
			}
			t.fields = append(t.fields, f)
		}
	case yaml.SequenceNode:
		t.kind = "list"
		for _, child := range n.Content {
			item, err := yamlTree(child, depth)
			if err != nil {
				return t, err
			}
			t.items = append(t.items, item)
		}
	case yaml.ScalarNode:
		t.text = n.Value
		switch n.ShortTag() {
		case "!!int", "!!float":
			t.kind = "number"
		case "!!bool":
			t.kind, t.text = "switch", strings.ToLower(n.Value)
		case "!!null":
			t.kind = "nothing"
		default:
			t.kind = "text"
		}
	default: // an alias could stand for a document of any size
		return t, fmt.Errorf("line %d: a manifest has no anchors and aliases; write the value out", n.Line)
	}
	return t, nil
}
