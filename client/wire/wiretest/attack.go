package wiretest

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	patience   = 30 * time.Second // for one answer
	attackers  = 4                // requests at a time
	problemMax = 16 << 10         // bytes of a problem document
	answerMax  = 1 << 20          // bytes of an answer that are read
)

// Target is an API under attack, and all that an attacker is told of it.
type Target struct {
	Document []byte            // OpenAPI
	Values   map[string]string // of parameters of paths, naming things that exist
	Bodies   map[string]string // valid bodies by the id of the operation
	Headers  []string          // names of headers that the API reads itself
	Lenient  bool              // it passes over what it does not know
	Few      int               // at most so many hostile values in each place, chosen by Seed; 0: all
	Seed     uint64
	// Send sends a request, whose URL has only path and query, as a caller whom the operation lets in, or as nobody.
	Send func(op Operation, r *http.Request, nobody bool) (*http.Response, error)
	// May tells whether an operation may answer with a status from 500 on.
	May func(op Operation, status int) bool
	// Private are texts that no answer may have, such as the name of the data folder.
	Private []string
}

// shot is one hostile request.
type shot struct {
	op      Operation
	name    string
	path    string // escaped
	query   string
	header  header
	body    *string
	refused bool   // it must not succeed
	at      string // the part that is wrong; a refusal as invalid names a part
	nobody  bool
}

// Attack sends every hostile request and checks every answer. It gives how many there were.
func (g Target) Attack(t *testing.T) int {
	t.Helper()
	ops, err := Operations(g.Document)
	if err != nil || len(ops) == 0 {
		t.Fatalf("%d operations: %v", len(ops), err)
	}
	shots := make(chan shot)
	var firing sync.WaitGroup
	for range attackers {
		firing.Go(func() {
			for s := range shots {
				g.fire(t, s)
			}
		})
	}
	count := 0
	for _, op := range ops {
		for _, s := range g.shots(t, op) {
			shots <- s
			count++
		}
	}
	close(shots)
	firing.Wait()
	return count
}

// shots makes the hostile requests of one operation. One that would be obeyed if nothing else were wrong with it names
// things that do not exist where the operation has an effect, or is made by nobody.
func (g Target) shots(t *testing.T, op Operation) []shot {
	t.Helper()
	valid, body, ok := g.valid(t, op)
	if !ok {
		return nil
	}
	harmless := valid
	if op.Method != http.MethodGet {
		harmless.path, harmless.nobody = g.fill(op, "", ""), !strings.Contains(op.Path, "{")
	}
	known := g.Headers
	var out []shot
	for _, p := range op.Parameters {
		switch p.In {
		case "path":
			out = append(out, g.inPath(op, p.Name, valid)...)
		case "query":
			s := valid
			if op.Method == http.MethodDelete || op.Method != http.MethodGet && op.body == nil && !op.binary {
				s = harmless
			}
			out = append(out, g.inQuery(op, p.Name, s)...)
		case "header":
			known = append(slices.Clone(known), p.Name)
		}
	}
	out = append(out, g.inBody(op, body, valid, harmless)...)
	for _, h := range few(g, op, "header", headers(known)) {
		s := harmless
		s.name, s.header = fmt.Sprintf("header %s: %s", h.name, brief(h.value)), h
		out = append(out, s)
	}
	return out
}

// plain are values that may well be the name of something.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ._-]*$`)

func (g Target) inPath(op Operation, name string, s shot) (out []shot) {
	for _, value := range few(g, op, name, slices.Concat(texts, broken)) {
		if plain.MatchString(value) {
			continue
		}
		s.name, s.path, s.refused = fmt.Sprintf("{%s} = %s", name, brief(value)), g.fill(op, name, value), true
		out = append(out, s)
	}
	return out
}

func (g Target) inQuery(op Operation, name string, s shot) (out []shot) {
	before := s.query
	for _, value := range few(g, op, name, slices.Concat(texts, broken)) {
		s.name, s.query, s.at = fmt.Sprintf("?%s = %s", name, brief(value)), join(before, url.QueryEscape(name)+"="+url.QueryEscape(value)), name
		out = append(out, s)
	}
	s.at = ""
	for _, query := range few(g, op, name, queries(name)) {
		s.name, s.query = "?"+brief(query), join(before, query)
		out = append(out, s)
	}
	return out
}

func (g Target) inBody(op Operation, body any, s, harmless shot) (out []shot) {
	if op.body == nil {
		for _, text := range few(g, op, "body", documents()) {
			harmless.name, harmless.body = "the unwanted document "+brief(text), &text
			out = append(out, harmless)
		}
		return out
	}
	for _, v := range g.variants(op, body) {
		s.name, s.body, s.at = v.name, &v.text, v.at
		out = append(out, s)
	}
	s.name, s.body, s.at, s.refused = "no body", nil, "", true
	return append(out, s)
}

// few chooses among hostile values, for each place of an operation others.
func few[T any](g Target, op Operation, place string, all []T) []T {
	if g.Few == 0 || len(all) <= g.Few {
		return all
	}
	out := make([]T, g.Few)
	for i, j := range g.random(op, place).Perm(len(all))[:g.Few] {
		out[i] = all[j]
	}
	return out
}

// random gives numbers that are the same in every run with the same seed.
func (g Target) random(op Operation, place string) *rand.Rand {
	hash := fnv.New64a()
	fmt.Fprint(hash, op.ID, " ", place)
	return rand.New(rand.NewPCG(g.Seed, hash.Sum64()))
}

// valid makes the request that nothing is wrong with, as far as the document tells; what it lacks fails the test.
func (g Target) valid(t *testing.T, op Operation) (s shot, body any, ok bool) {
	t.Helper()
	ok = true
	lacks := func(what string) {
		t.Errorf("%s (%s %s): no valid request can be made: %s", op.ID, op.Method, op.Path, what)
		ok = false
	}
	s = shot{op: op, path: g.fill(op, "-", "")}
	for _, p := range op.Parameters {
		value, known := g.Values[p.Name]
		switch {
		case !known && p.In == "path":
			lacks("say in Values what {" + p.Name + "} is")
		case !known && p.Required:
			lacks("say in Values what the " + p.In + " parameter " + p.Name + " is")
		case p.In == "query" && p.Required:
			s.query = join(s.query, url.QueryEscape(p.Name)+"="+url.QueryEscape(value))
		}
	}
	text, described := g.Bodies[op.ID], op.body != nil
	switch {
	case text == "" && !described:
	case text != "" && !described:
		lacks("it is said to take a body, and the document does not describe one; a Raw route says so by Route.Body")
	case text == "":
		lacks("say in Bodies what a valid body is")
	default:
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			lacks(fmt.Sprintf("its body: %v", err))
		} else if missing := op.body.lacks("", body); missing != "" {
			lacks("its body: " + missing)
		}
		s.body = &text
	}
	return s, body, ok
}

// fill gives the escaped path of an operation in which one parameter has a value. With name "" nothing that it names
// exists.
func (g Target) fill(op Operation, name, value string) string {
	parts := strings.Split(op.Path, "/")
	for i, part := range parts {
		if parameter, ok := strings.CutPrefix(part, "{"); ok {
			parameter = strings.TrimSuffix(parameter, "}")
			text := g.Values[parameter]
			switch name {
			case parameter:
				text = value
			case "":
				text = "nothing-7"
			}
			parts[i] = strings.ReplaceAll(url.PathEscape(text), ".", "%2E")
		}
	}
	return strings.Join(parts, "/")
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "&" + b
}

// fire sends one request and checks its answer.
func (g Target) fire(t *testing.T, s shot) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	path, err := url.PathUnescape(s.path)
	if err != nil {
		t.Errorf("%s: %v", s.name, err)
		return
	}
	var body io.Reader
	if s.body != nil {
		body = strings.NewReader(*s.body)
	}
	r, err := http.NewRequestWithContext(ctx, s.op.Method, "/", body)
	if err != nil {
		t.Errorf("%s: %v", s.op.ID, err)
		return
	}
	r.URL = &url.URL{Path: path, RawPath: s.path, RawQuery: s.query}
	if s.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if s.header.name != "" {
		r.Header[s.header.name] = []string{s.header.value}
	}
	answer, err := g.Send(s.op, r, s.nobody)
	if err != nil {
		if !unsendable(s.header) {
			t.Errorf("%s: %s: %v", s.op.ID, s.name, err)
		}
		return
	}
	defer answer.Body.Close()
	g.check(t, s, answer)
}

// unsendable tells whether Go's client refuses to send a header.
func unsendable(h header) bool { return strings.ContainsAny(h.value, "\x1b\r\n\x00") }
