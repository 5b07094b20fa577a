package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

type thing struct {
	Name  string            `json:"name"`
	Count int               `json:"count,omitempty" minimum:"0"`
	Tags  map[string]string `json:"tags,omitempty"`
}

type thingInput struct {
	Name  string `path:"name"`
	Limit int    `query:"limit"`
	Body  thing
}

type thingOutput struct{ Body thing }

type noInput struct{}

var errSecret = errors.New("the password of the database is hunter2")

// testAPI has a route of every kind. Callers are told by the header Test-Caller.
func testAPI(w *world) *API {
	a := w.api(func(r *http.Request) (Caller, error) {
		switch r.Header.Get("Test-Caller") {
		case "":
			return Caller{}, nil
		case "ada":
			return Caller{Kind: KindUser, User: 7, UserName: "ada"}, nil
		case "broken":
			return Caller{}, errSecret
		}
		return Caller{}, api.Errorf(api.CodeUnauthenticated, "this token is unknown or has expired: log in again")
	})
	users := Rule{Name: "user", Allow: func(_ context.Context, c Caller, path func(string) string) error {
		switch {
		case c.Kind != KindUser:
			return api.Errorf(api.CodeUnauthenticated, "log in first")
		case path("name") == "foreign":
			return api.Errorf(api.CodeNotFound, "there is no thing foreign")
		}
		return nil
	}}
	Register(a, Route{Method: "PUT", Path: "/v1/things/{name}", ID: "put-thing", MaxBody: 1000}, anyone,
		func(_ context.Context, in *thingInput) (*thingOutput, error) {
			in.Body.Count += in.Limit
			in.Body.Name += "@" + in.Name
			return &thingOutput{Body: in.Body}, nil
		})
	Register(a, Route{Method: "GET", Path: "/v1/mine/{name}", ID: "get-mine"}, users,
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		},
		) (*thingOutput, error) {
			return &thingOutput{Body: thing{Name: CallerFrom(ctx).String() + " " + RequestID(ctx)}}, nil
		})
	Register(a, Route{Method: "POST", Path: "/v1/nothing", ID: "nothing"}, anyone,
		func(context.Context, *noInput) (*struct{}, error) { return nil, nil })
	fail := map[string]func() error{
		"internal": func() error { return fmt.Errorf("open: %w", errSecret) },
		"typed": func() error {
			return fmt.Errorf("while %w: %w", errSecret, api.Errorf(api.CodeQuota, "no machine is left"))
		},
		"hidden": func() error { return api.Errorf(api.CodeInternal, "%v", errSecret) },
		"full":   func() error { return &os.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC} },
		"panic":  func() error { panic(errSecret) },
		"abort":  func() error { panic(http.ErrAbortHandler) },
	}
	type failInput struct {
		How string `path:"how"`
	}
	Register(a, Route{Method: "GET", Path: "/v1/fail/{how}", ID: "fail"}, anyone,
		func(_ context.Context, in *failInput) (*thingOutput, error) { return nil, fail[in.How]() })
	a.Raw(Route{Method: "GET", Path: "/v1/rawfail/{how}", ID: "raw-fail"}, anyone,
		func(_ http.ResponseWriter, _ *http.Request, path func(string) string) error {
			return fail[path("how")]()
		})
	a.Raw(Route{
		Method: "GET", Path: "/v1/log", ID: "log",
		Query: []Query{QueryText("name", "Which"), QueryFlag("follow", "Go on"), QueryNumber("lines", 1, 100, "How many")},
	}, anyone, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		_, err := fmt.Fprint(w, r.URL.Query().Get("name"), Flag(r, "follow"), Number(r, "lines", 7))
		return err
	})
	a.Raw(Route{Method: "GET", Path: "/v1/cut", ID: "cut"}, anyone,
		func(w http.ResponseWriter, _ *http.Request, _ func(string) string) error {
			io.WriteString(w, "half")
			return errSecret
		})
	a.Raw(Route{Method: "POST", Path: "/v1/raw/{name}", ID: "raw", MaxBody: 100, Body: thing{}}, users,
		func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			var in thing
			if err := Decode(r, &in); err != nil {
				return err
			}
			return NewLineWriter(w).Write(in.Name + " for " + CallerFrom(r.Context()).UserName + " at " + path("name"))
		})
	a.Raw(Route{Method: "GET", Path: "/files/{rest...}", ID: "files"}, anyone,
		func(w http.ResponseWriter, _ *http.Request, path func(string) string) error {
			_, err := io.WriteString(w, path("rest"))
			return err
		})
	return a
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	client := w.client(w.serve(testAPI(w).Handler()))
	const jsonType, whole = "application/json", `{"name":"a"}`
	tests := []struct {
		name, method, path, kind, body string
		caller, origin                 string
		status                         int
		code                           api.Code
		field, detail                  string
	}{
		{name: "unknown route", method: "GET", path: "/v2", status: 404, code: api.CodeNotFound, detail: "nothing at /v2"},
		{name: "path goes on", method: "PUT", path: "/v1/things/a/b", kind: jsonType, body: whole, status: 404, code: api.CodeNotFound},
		{name: "path goes on escaped", method: "PUT", path: "/v1/things/a%2Fb", kind: jsonType, body: whole, status: 404, code: api.CodeNotFound},
		{name: "path ends early", method: "PUT", path: "/v1/things/", kind: jsonType, body: whole, status: 404, code: api.CodeNotFound},
		{name: "wrong method", method: "PATCH", path: "/v1/things/a", status: 405, code: api.CodeInvalid, detail: "possible are:"},
		{name: "unknown query", method: "PUT", path: "/v1/things/a?limt=1", kind: jsonType, body: whole, status: 422, code: api.CodeInvalid, field: "query.limt"},
		{name: "wrong query", method: "PUT", path: "/v1/things/a?limit=x", kind: jsonType, body: whole, status: 422, code: api.CodeInvalid, field: "query.limit"},
		{name: "unknown member", method: "PUT", path: "/v1/things/a", kind: jsonType, body: `{"name":"a","nmae":"b"}`, status: 422, code: api.CodeInvalid, field: "nmae"},
		{name: "missing member", method: "PUT", path: "/v1/things/a", kind: jsonType, body: `{}`, status: 422, code: api.CodeInvalid, field: "body", detail: "name"},
		{name: "wrong type", method: "PUT", path: "/v1/things/a", kind: jsonType, body: `{"name":1}`, status: 422, code: api.CodeInvalid, field: "name"},
		{name: "below minimum", method: "PUT", path: "/v1/things/a", kind: jsonType, body: `{"name":"a","count":-1}`, status: 422, code: api.CodeInvalid, field: "count"},
		{name: "two findings", method: "PUT", path: "/v1/things/a", kind: jsonType, body: `{"name":1,"count":"x"}`, status: 422, code: api.CodeInvalid, field: "count", detail: "; name: "},
		{name: "no body", method: "PUT", path: "/v1/things/a", kind: jsonType, status: 400, code: api.CodeInvalid, detail: "body is required"},
		{name: "no JSON", method: "PUT", path: "/v1/things/a", kind: jsonType, body: `{"name"`, status: 400, code: api.CodeInvalid, field: "body"},
		{name: "two documents", method: "PUT", path: "/v1/things/a", kind: jsonType, body: whole + whole, status: 400, code: api.CodeInvalid, field: "body"},
		{name: "other content type", method: "PUT", path: "/v1/things/a", kind: "text/plain", body: whole, status: 415, code: api.CodeInvalid, detail: "application/json"},
		{name: "form", method: "PUT", path: "/v1/things/a", kind: "application/x-www-form-urlencoded", body: "name=a", status: 415, code: api.CodeInvalid},
		{name: "too large", method: "PUT", path: "/v1/things/a", kind: jsonType, body: `{"name":"` + strings.Repeat("a", 990) + `"}`, status: 413, code: api.CodeTooLarge, detail: "longer than 1000 bytes"},
		{name: "page of another site", method: "PUT", path: "/v1/things/a", kind: jsonType, body: whole, origin: "https://evil.example", status: 403, code: api.CodeForbidden},
		{name: "anonymous", method: "GET", path: "/v1/mine/a", status: 401, code: api.CodeUnauthenticated, detail: "log in first"},
		{name: "wrong token", method: "GET", path: "/v1/mine/a", caller: "eve", status: 401, code: api.CodeUnauthenticated, detail: "log in again"},
		{name: "nobody can be known", method: "GET", path: "/v1/mine/a", caller: "broken", status: 500, code: api.CodeInternal, detail: "internal error"},
		{name: "rule", method: "GET", path: "/v1/mine/foreign", caller: "ada", status: 404, code: api.CodeNotFound},
		{name: "internal", method: "GET", path: "/v1/fail/internal", status: 500, code: api.CodeInternal, detail: "internal error"},
		{name: "typed", method: "GET", path: "/v1/fail/typed", status: 403, code: api.CodeQuota, detail: "no machine is left"},
		{name: "full", method: "GET", path: "/v1/fail/full", status: 507, code: api.CodeFull, detail: "the disk of the Test is full; free some space"},
		{name: "raw full", method: "GET", path: "/v1/rawfail/full", status: 507, code: api.CodeFull, detail: "the disk of the Test is full; free some space"},
		{name: "hidden", method: "GET", path: "/v1/fail/hidden", status: 500, code: api.CodeInternal, detail: "internal error"},
		{name: "panic", method: "GET", path: "/v1/fail/panic", status: 500, code: api.CodeInternal, detail: "internal error"},
		{name: "abort", method: "GET", path: "/v1/fail/abort", status: 500, code: api.CodeInternal, detail: "internal error"},
		{name: "raw internal", method: "GET", path: "/v1/rawfail/internal", status: 500, code: api.CodeInternal, detail: "internal error"},
		{name: "raw typed", method: "GET", path: "/v1/rawfail/typed", status: 403, code: api.CodeQuota, detail: "no machine is left"},
		{name: "raw panic", method: "GET", path: "/v1/rawfail/panic", status: 500, code: api.CodeInternal, detail: "internal error"},
		{name: "raw anonymous", method: "POST", path: "/v1/raw/a", kind: jsonType, body: whole, status: 401, code: api.CodeUnauthenticated},
		{name: "raw rule", method: "POST", path: "/v1/raw/foreign", caller: "ada", kind: jsonType, body: whole, status: 404, code: api.CodeNotFound},
		{name: "raw unknown member", method: "POST", path: "/v1/raw/a", caller: "ada", kind: jsonType, body: `{"nmae":"a"}`, status: 422, code: api.CodeInvalid, field: "body", detail: "nmae"},
		{name: "raw wrong type", method: "POST", path: "/v1/raw/a", caller: "ada", kind: jsonType, body: `{"name":1}`, status: 422, code: api.CodeInvalid, field: "name"},
		{name: "raw two documents", method: "POST", path: "/v1/raw/a", caller: "ada", kind: jsonType, body: whole + whole, status: 422, code: api.CodeInvalid, field: "body"},
		{name: "raw content type", method: "POST", path: "/v1/raw/a", caller: "ada", kind: "text/plain", body: whole, status: 415, code: api.CodeInvalid},
		{name: "raw too large", method: "POST", path: "/v1/raw/a", caller: "ada", kind: jsonType, body: `{"name":"` + strings.Repeat("a", 200) + `"}`, status: 413, code: api.CodeTooLarge, detail: "longer than 100 bytes"},
		{name: "raw unknown query", method: "GET", path: "/v1/log?flolow=true", status: 422, code: api.CodeInvalid, field: "query.flolow", detail: "there are: name, follow, lines"},
		{name: "raw query where there is none", method: "GET", path: "/v1/cut?a=1", status: 422, code: api.CodeInvalid, field: "query.a", detail: "there are none"},
		{name: "raw query twice", method: "GET", path: "/v1/log?lines=1&lines=2", status: 422, code: api.CodeInvalid, field: "query.lines", detail: "2 times"},
		{name: "raw query that is no flag", method: "GET", path: "/v1/log?follow=maybe", status: 422, code: api.CodeInvalid, field: "query.follow", detail: "true or false"},
		{name: "raw query without a value", method: "GET", path: "/v1/log?follow", status: 422, code: api.CodeInvalid, field: "query.follow"},
		{name: "raw query that is no number", method: "GET", path: "/v1/log?lines=%2B1", status: 422, code: api.CodeInvalid, field: "query.lines", detail: "from 1 to 100"},
		{name: "raw query above its most", method: "GET", path: "/v1/log?lines=101", status: 422, code: api.CodeInvalid, field: "query.lines"},
		{name: "raw query that is broken", method: "GET", path: "/v1/log?lines=%zz", status: 422, code: api.CodeInvalid, field: "query"},
		{name: "raw unknown route", method: "POST", path: "/v1/raw/a/b", status: 404, code: api.CodeNotFound},
		{name: "raw wrong method", method: "DELETE", path: "/v1/raw/a", status: 405, code: api.CodeInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var body io.Reader
			if test.body != "" {
				body = strings.NewReader(test.body)
			}
			r, err := http.NewRequestWithContext(t.Context(), test.method, client.Base+test.path, body)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{"Content-Type": test.kind, "Test-Caller": test.caller, "Origin": test.origin} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			answer, err := client.HTTP.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			var got api.Error
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&got); err != nil {
				t.Fatalf("%s is no problem document: %v", text, err)
			}
			if answer.StatusCode != test.status || got.Status != test.status || got.Code != test.code {
				t.Errorf("got %d, %s; want %d, code %s", answer.StatusCode, text, test.status, test.code)
			}
			if got.Field != test.field || !strings.Contains(got.Detail, test.detail) {
				t.Errorf("got field %q, detail %q; want %q, %q", got.Field, got.Detail, test.field, test.detail)
			}
			if got.RequestID == "" || got.RequestID != answer.Header.Get(api.HeaderRequestID) {
				t.Errorf("request id %q in the body, %q in the header", got.RequestID, answer.Header.Get(api.HeaderRequestID))
			}
			if kind := answer.Header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("content type %q", kind)
			}
			if answer.Header.Get("Retry-After") != "" != (got.Code == api.CodeFull) {
				t.Errorf("%s with Retry-After %q", test.name, answer.Header.Get("Retry-After"))
			}
			if unknown := got.Code == api.CodeUnauthenticated; answer.Header.Get("WWW-Authenticate") != "" != unknown {
				t.Errorf("%s with WWW-Authenticate %q", test.name, answer.Header.Get("WWW-Authenticate"))
			}
			if got.Title == "" || strings.Contains(string(text), "hunter2") {
				t.Errorf("%s has no title, or tells what is secret", text)
			}
			if got.Status >= 500 && !slices.ContainsFunc(strings.Split(w.log.String(), "\n"), func(line string) bool {
				return strings.Contains(line, "request="+got.RequestID) && (strings.Contains(line, "hunter2") || strings.Contains(line, "/secret") || test.name == "abort")
			}) {
				t.Errorf("the log has no line with the reason of request %s", got.RequestID)
			}
		})
	}
}

func TestTypedRoute(t *testing.T) {
	w := newWorld(t)
	client := w.client(w.serve(testAPI(w).Handler()))
	got, err := Call[thing](t.Context(), client, "PUT", "/v1/things/big%20cat?limit=3", thing{Name: "tom", Count: 1})
	if want := (thing{Name: "tom@big cat", Count: 4}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	largest := thing{Name: strings.Repeat("a", 1000-len(`{"name":""}`))}
	if _, err := Call[thing](t.Context(), client, "PUT", "/v1/things/a", largest); err != nil {
		t.Errorf("a body of exactly the limit is refused: %v", err)
	}
	if _, err := Call[struct{}](t.Context(), client, "POST", "/v1/nothing", nil); err != nil {
		t.Error(err)
	}
	text, err := Stream(t.Context(), client, "GET", "/files/a/b.css", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if body, err := io.ReadAll(text); err != nil || string(body) != "a/b.css" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestCutAnswerIsSeen(t *testing.T) {
	w := newWorld(t)
	client := w.client(w.serve(testAPI(w).Handler()))
	body, err := Stream(t.Context(), client, "GET", "/v1/cut", nil)
	if err == nil {
		defer body.Close()
		_, err = io.ReadAll(body)
	}
	if err == nil {
		t.Error("an answer that was cut looks complete")
	}
	eventually(t, "the reason is in the log", func() bool { return strings.Contains(w.log.String(), "hunter2") })
}

func TestRequestIDs(t *testing.T) {
	w := newWorld(t)
	client := w.client(w.serve(testAPI(w).Handler()))
	for _, test := range []struct {
		id   string
		kept bool
	}{
		{"trace-1.b_C", true},
		{strings.Repeat("x", 64), true},
		{strings.Repeat("x", 65), false},
		{"", false},
		{"a b", false},
		{"a\tb", false},
		{"é", false},
		{`a"b`, false},
	} {
		got, err := Call[thing](t.Context(), client, "GET", "/v1/mine/a", nil, WithHeader("Test-Caller", "ada"), WithHeader(api.HeaderRequestID, test.id))
		if err != nil {
			t.Fatal(err)
		}
		user, id, _ := strings.Cut(got.Name, ") ")
		if user != "user 7 (ada" || !isRequestID(id) || (id == test.id) != test.kept {
			t.Errorf("sent id %q, the handler has %q of %q", test.id, id, user)
		}
	}
	got, err := Call[thing](WithRequestID(t.Context(), "outer"), client, "GET", "/v1/mine/a", nil, WithHeader("Test-Caller", "ada"))
	if err != nil || !strings.HasSuffix(got.Name, " outer") {
		t.Errorf("a call does not carry on the id of its context: %+v, %v", got, err)
	}
}

func TestRegistrationPanics(t *testing.T) {
	handler := func(context.Context, *noInput) (*struct{}, error) { return nil, nil }
	good := Route{Method: "GET", Path: "/v1/x", ID: "x"}
	tests := map[string]func(*API){
		"no rule":      func(a *API) { Register(a, good, Rule{}, handler) },
		"no rule name": func(a *API) { Register(a, good, Rule{Allow: anyone.Allow}, handler) },
		"raw no rule":  func(a *API) { a.Raw(good, Rule{Name: "x"}, nil) },
		"no id":        func(a *API) { Register(a, Route{Method: "GET", Path: "/v1/x"}, anyone, handler) },
		"no path":      func(a *API) { Register(a, Route{Method: "GET", ID: "x"}, anyone, handler) },
		"same path": func(a *API) {
			Register(a, good, anyone, handler)
			Register(a, Route{Method: "GET", Path: "/v1/x", ID: "y"}, anyone, handler)
		},
		"same id": func(a *API) {
			Register(a, good, anyone, handler)
			a.Raw(Route{Method: "GET", Path: "/v1/y", ID: "x"}, anyone, nil)
		},
	}
	for name, register := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it is accepted")
				}
			}()
			register(newWorld(t).api(nobodyKnown))
		})
	}
}

func TestRoutesAndOpenAPI(t *testing.T) {
	w := newWorld(t)
	a := testAPI(w)
	routes := a.Routes()
	if want := (RouteInfo{Method: "PUT", Path: "/v1/things/{name}", ID: "put-thing", Rule: "anyone"}); routes[0] != want {
		t.Errorf("got %+v, want %+v", routes[0], want)
	}
	text, err := a.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		OpenAPI string                            `json:"openapi"`
		Paths   map[string]map[string]any         `json:"paths"`
		Parts   map[string]map[string]api.RawJSON `json:"components"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		path := strings.Replace(route.Path, "...}", "}", 1)
		if document.Paths[path][strings.ToLower(route.Method)] == nil {
			t.Errorf("OpenAPI lacks %s %s", route.Method, path)
		}
	}
	if _, ok := document.Parts["schemas"]["Error"]; !ok || document.OpenAPI != "3.1.0" || strings.Contains(string(text), "$schema") {
		t.Errorf("OpenAPI %s without the schema Error, or with $schema:\n%s", document.OpenAPI, text)
	}
	again, err := testAPI(w).OpenAPI()
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("OpenAPI is not the same each time, %v", err)
	}
}
