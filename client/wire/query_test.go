package wire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

// What a Raw route declares of its query arrives, and OpenAPI shows it.
func TestQueryOfRawRoute(t *testing.T) {
	w := newWorld(t)
	a := testAPI(w)
	client := w.client(w.serve(a.Handler()))
	for query, want := range map[string]string{"": "false 7", "?follow=true&name=a%26b&lines=100": "a&btrue 100", "?follow=false": "false 7"} {
		text, err := Stream(t.Context(), client, "GET", "/v1/log"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(text)
		text.Close()
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", query, got, err, want)
		}
	}
	document, err := a.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths map[string]map[string]struct{ Parameters []map[string]any }
	}
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": "lines", "in": "query", "description": "How many", "schema": map[string]any{"type": "integer", "minimum": 1.0, "maximum": 100.0}}
	if diff := cmp.Diff(want, d.Paths["/v1/log"]["get"].Parameters[2]); diff != "" {
		t.Errorf("in OpenAPI (-want +got):\n%s", diff)
	}
}

// A component may be called by one that is newer: what that adds is passed over, and what is known still checked.
func TestLenientAPI(t *testing.T) {
	w := newWorld(t)
	a := NewAPI(Options{Title: "Test", Version: "1", Log: w.log.logger(), Authenticate: nobodyKnown, Lenient: true})
	Register(a, Route{Method: "PUT", Path: "/things/{name}", ID: "put"}, anyone,
		func(_ context.Context, in *thingInput) (*thingOutput, error) { return &thingOutput{Body: in.Body}, nil })
	a.Raw(Route{Method: "PUT", Path: "/raw", ID: "raw", Query: []Query{QueryFlag("follow", "")}, Body: thing{}}, anyone,
		func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			var in thing
			if err := Decode(r, &in); err != nil {
				return err
			}
			return json.NewEncoder(w).Encode(in)
		})
	client := w.client(w.serve(a.Handler()))
	newer := map[string]any{"name": "a", "count": 3, "invented": map[string]any{"x": 1}}
	for _, path := range []string{"/things/a", "/things/a?later=1", "/raw", "/raw?later=1"} {
		got, err := Call[thing](t.Context(), client, "PUT", path, newer)
		if err != nil || got.Name != "a" || got.Count != 3 {
			t.Errorf("%s: %+v, %v; want what is known of it", path, got, err)
		}
	}
	for _, path := range []string{"/things/a", "/raw"} {
		if _, err := Call[thing](t.Context(), client, "PUT", path, map[string]any{"name": 1}); api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%s with a wrong type: %v, want it refused", path, err)
		}
	}
	if _, err := Call[thing](t.Context(), client, "PUT", "/raw?follow=maybe", newer); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("follow=maybe: %v, want it refused", err)
	}
}
