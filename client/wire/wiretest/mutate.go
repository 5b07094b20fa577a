package wiretest

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// place is one member of a body: the names that lead to it.
type place struct {
	names    []string
	required bool
}

// String names the place as problem documents do.
func (p place) String() string { return strings.Join(p.names, ".") }

// variant is a body with something hostile in it.
type variant struct {
	name string
	text string
	at   string // the member that is wrong; "": it is not known which
}

// here stands in a body for what is put there as text.
const here = "\"@here@\""

// variants gives the hostile bodies that are made of a valid one.
func (g Target) variants(op Operation, valid any) []variant {
	var out []variant
	s := op.body
	for _, text := range few(g, op, "", documents()) {
		out = append(out, variant{name: "the document " + brief(text), text: text})
	}
	places, hostile, random := s.places(nil), values(), g.random(op, "mixture")
	for _, p := range places {
		frame := with(s, valid, p, json.RawMessage(here))
		put := func(name, text string) {
			out = append(out, variant{name: p.String() + " " + name, text: strings.Replace(frame, here, text, 1), at: p.String()})
		}
		for _, value := range few(g, op, p.String(), hostile) {
			put("= "+brief(value), value)
		}
		last, _ := json.Marshal(p.names[len(p.names)-1])
		put("twice", `null,`+string(last)+`:[]`)
		out = append(out, variant{name: p.String() + " beside a stranger", text: strings.Replace(frame, here, `null,"surprise7":1`, 1)})
		if p.required {
			out = append(out, variant{name: p.String() + " is missing", text: without(valid, p), at: p.String()})
		}
	}
	for range 5 * min(len(places), 4) {
		text := mixture(s, valid, places, hostile, random)
		out = append(out, variant{name: "a mixture " + brief(text), text: text})
	}
	return out
}

// mixture is a body in which about half of the members are hostile.
func mixture(s *schema, body any, places []place, hostile []string, random *rand.Rand) string {
	text, fill := marshal(body), 0
	for _, p := range places {
		if random.IntN(2) == 0 {
			text = with(s, body, p, json.RawMessage(here))
			if json.Unmarshal([]byte(text), &body) == nil {
				fill++
			}
		}
	}
	for range fill {
		text = strings.Replace(text, here, hostile[random.IntN(len(hostile))], 1)
	}
	return text
}

// places lists the members of a body, nested ones too.
func (s *schema) places(above []string) []place {
	var out []place
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		member := s.Properties[name]
		p := place{names: append(slices.Clone(above), name), required: slices.Contains(s.Required, name)}
		out = append(out, p)
		out = append(out, member.places(p.names)...)
		if member.Items != nil {
			out = append(out, place{names: append(slices.Clone(p.names), "0")})
			out = append(out, member.Items.places(append(slices.Clone(p.names), "0"))...)
		}
	}
	return out
}

// with gives a body as text in which a member has a value. What is missing on the way there is added.
func with(s *schema, body any, p place, value json.RawMessage) string {
	return marshal(set(s, clone(body), p.names, value))
}

func set(s *schema, body any, names []string, value json.RawMessage) any {
	if len(names) == 0 {
		return value
	}
	name := names[0]
	if s.Items != nil {
		list, _ := body.([]any)
		if len(list) == 0 {
			list = []any{s.Items.example()}
		}
		list[0] = set(s.Items, list[0], names[1:], value)
		return list
	}
	object, ok := body.(map[string]any)
	if !ok {
		object, _ = s.example().(map[string]any)
	}
	if object == nil {
		object = map[string]any{}
	}
	member := s.Properties[name]
	if name == "*" {
		name = firstKey(object)
	}
	inner, ok := object[name]
	if !ok {
		inner = member.example()
	}
	object[name] = set(member, inner, names[1:], value)
	return object
}

func firstKey(object map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		return name
	}
	return "x"
}

// without gives a body as text that lacks a member.
func without(body any, p place) string {
	body = clone(body)
	at := body
	for i, name := range p.names {
		object, ok := at.(map[string]any)
		if list, isList := at.([]any); isList && len(list) > 0 {
			at = list[0]
			continue
		}
		if !ok {
			break
		}
		if i == len(p.names)-1 {
			delete(object, name)
		}
		at = object[name]
	}
	return marshal(body)
}

func clone(body any) any {
	var out any
	if err := json.Unmarshal([]byte(marshal(body)), &out); err != nil {
		panic(err) // it was just made
	}
	return out
}

func marshal(body any) string {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // it is made of what JSON has
	}
	return string(text)
}

func quote(text string) string { return marshal(text) }

// brief names a value in messages.
func brief(text string) string {
	const most = 40
	if len(text) > most {
		return quote(text[:most]) + "…"
	}
	return quote(text)
}
