package wiretest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Operation is what a test needs of one operation of an OpenAPI document.
type Operation struct {
	ID, Method, Path string
	Parameters       []Parameter
	body             *schema // of JSON; nil: it takes none
	binary           bool    // it takes a body that is no JSON
}

// Parameter is one of a path, of a query, or a header.
type Parameter struct {
	Name, In string
	Required bool
}

// schema is the part of a JSON schema that says how a value is built.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	Additional json.RawMessage    `json:"additionalProperties"`
	Enum       []any              `json:"enum"`
}

// Operations reads an OpenAPI document: its operations in the order of their paths and methods.
func Operations(document []byte) ([]Operation, error) {
	var d struct {
		Paths map[string]map[string]struct {
			ID          string `json:"operationId"`
			Parameters  []Parameter
			RequestBody struct {
				Content map[string]struct{ Schema *schema }
			}
		}
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	var all []Operation
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			o := d.Paths[path][method]
			op := Operation{ID: o.ID, Method: strings.ToUpper(method), Path: path, Parameters: o.Parameters}
			for kind, content := range o.RequestBody.Content {
				if kind == "application/json" {
					op.body = content.Schema
				} else {
					op.binary = true
				}
			}
			all = append(all, op)
		}
	}
	for i := range all {
		all[i].body = resolve(all[i].body, d.Components.Schemas, nil)
	}
	return all, nil
}

// resolve replaces references by what they name. A type within itself ends there.
func resolve(s *schema, named map[string]*schema, within []string) *schema {
	if s == nil {
		return nil
	}
	if s.Ref != "" {
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		if slices.Contains(within, name) {
			return &schema{}
		}
		within = append(slices.Clone(within), name)
		s = named[name]
	}
	out := *s
	out.Items = resolve(s.Items, named, within)
	out.Properties = map[string]*schema{}
	for name, member := range s.Properties {
		out.Properties[name] = resolve(member, named, within)
	}
	if entry := s.entry(); entry != nil {
		out.Properties["*"] = resolve(entry, named, within) // of a map: any name
	}
	return &out
}

// entry is the schema of a map's entries; nil where it is no map.
func (s *schema) entry() *schema {
	var entry schema
	if len(s.Additional) == 0 || s.Additional[0] != '{' || json.Unmarshal(s.Additional, &entry) != nil {
		return nil
	}
	return &entry
}

// is tells whether values may be of a JSON type.
func (s *schema) is(kind string) bool {
	if list, ok := s.Type.([]any); ok {
		return slices.Contains(list, any(kind))
	}
	return s.Type == kind
}

// example is a value that the schema allows.
func (s *schema) example() any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.is("object"):
		out := map[string]any{}
		for _, name := range s.Required {
			out[name] = s.Properties[name].example()
		}
		return out
	case s.is("array"):
		return []any{}
	case s.is("integer"), s.is("number"):
		return 1
	case s.is("boolean"):
		return false
	}
	return "x"
}

// lacks says what keeps an example from being a valid body, "" where nothing does.
func (s *schema) lacks(at string, value any) string {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return "it lacks " + at + name
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			member := cmp.Or(s.Properties[name], s.Properties["*"])
			if member == nil && len(s.Properties) > 0 {
				return "the document does not have " + at + name
			}
			if member != nil {
				if missing := member.lacks(at+name+".", v[name]); missing != "" {
					return missing
				}
			}
		}
	case []any:
		for _, item := range v {
			if s.Items != nil {
				if missing := s.Items.lacks(at, item); missing != "" {
					return missing
				}
			}
		}
	}
	return ""
}
