package wire

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"conpaas/client/api"
)

// Query is a member of the query of a Raw route. It is checked before the handler runs, and shown in OpenAPI. Typed
// routes describe theirs by their input.
type Query struct {
	name, doc, kind string
	least, most     int // of an integer
}

// QueryOthers are members of names that the handler knows, each given once, any text.
func QueryOthers(name, doc string) Query { return Query{name: name, doc: doc, kind: huma.TypeObject} }

// QueryText is a member that is any text.
func QueryText(name, doc string) Query { return Query{name: name, doc: doc, kind: huma.TypeString} }

// QueryFlag is a member that is true or false; Flag reads it.
func QueryFlag(name, doc string) Query { return Query{name: name, doc: doc, kind: huma.TypeBoolean} }

// QueryNumber is a member that is an integer from least to most; Number reads it.
func QueryNumber(name string, least, most int, doc string) Query {
	return Query{name: name, doc: doc, kind: huma.TypeInteger, least: least, most: most}
}

// Flag gives a flag of the query of a Raw route: false where it is not there.
func Flag(r *http.Request, name string) bool { return r.URL.Query().Get(name) == "true" }

// Number gives a number of the query of a Raw route, or otherwise where it is not there.
func Number(r *http.Request, name string, otherwise int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		return otherwise
	}
	return n
}

// checkQuery refuses a query with members that a Raw route does not have, or values that they cannot have. What a newer
// component may know is passed over where lenient.
func checkQuery(text string, known []Query, lenient bool) error {
	values, err := url.ParseQuery(text)
	if err != nil {
		return api.InField("query", "it cannot be read: %v", err)
	}
	for name, given := range values {
		i := slices.IndexFunc(known, func(q Query) bool { return q.name == name || q.kind == huma.TypeObject })
		switch {
		case i < 0 && lenient:
		case i < 0:
			return api.InField("query."+shorten(name), "there is no such member; %s", members(known))
		case len(given) > 1:
			return api.InField("query."+name, "it is given %d times", len(given))
		default:
			if err := known[i].check(given[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

func members(known []Query) string {
	if len(known) == 0 {
		return "there are none"
	}
	var names []string
	for _, q := range known {
		names = append(names, q.name)
	}
	return "there are: " + strings.Join(names, ", ")
}

func (q Query) check(value string) error {
	switch q.kind {
	case huma.TypeBoolean:
		if value != "true" && value != "false" {
			return api.InField("query."+q.name, "want true or false, not %.20q", value)
		}
	case huma.TypeInteger:
		n, err := strconv.Atoi(value)
		if err != nil || strconv.Itoa(n) != value || n < q.least || n > q.most {
			return api.InField("query."+q.name, "want a number from %d to %d, not %.20q", q.least, q.most, value)
		}
	}
	return nil
}

// describe is the member in OpenAPI.
func (q Query) describe() *huma.Param {
	schema := &huma.Schema{Type: q.kind}
	if q.kind == huma.TypeInteger {
		least, most := float64(q.least), float64(q.most)
		schema.Minimum, schema.Maximum = &least, &most
	}
	if q.kind == huma.TypeObject { // RFC 6570: each of its members is one of the query
		schema.AdditionalProperties = &huma.Schema{Type: huma.TypeString}
	}
	schema.PrecomputeMessages()
	return &huma.Param{Name: q.name, In: "query", Description: q.doc, Schema: schema}
}
