package wire

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"conpaas/client/api"
)

// Register adds a typed route. I is a struct with fields tagged path:"…" and query:"…" and a Body; O has a Body, or
// none. What is not described by I is refused before h runs. h may take 60 s; its error is answered as the *api.Error
// that it wraps, any other as internal, with its text in the log only. Register panics on a route without a rule, or that
// is there already.
func Register[I, O any](a *API, r Route, rule Rule, h func(ctx context.Context, in *I) (*O, error)) {
	a.add(r, rule)
	operation := huma.Operation{
		OperationID: r.ID, Method: r.Method, Path: r.Path, Summary: r.Summary, DefaultStatus: r.Status,
		MaxBodyBytes: r.maxBody() + 1, // huma refuses a body of exactly its limit
		Middlewares:  huma.Middlewares{a.gate(r, rule)},
	}
	huma.Register(a.huma, operation, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, handlerTime)
		defer cancel()
		out, err := h(ctx, in)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		return out, nil
	})
	a.loosenAll()
}

// Raw adds a route whose handler reads and writes by itself: streams, downloads, upgrades. Its query has been checked when
// h runs. An error of h before the first
// byte is answered like that of a typed handler; after it, the connection is cut so that the caller sees that the answer
// is not complete. The request's context ends when the caller leaves and when Serve begins to shut down.
func (a *API) Raw(r Route, rule Rule, h func(w http.ResponseWriter, r *http.Request, path func(string) string) error) {
	a.add(r, rule)
	path, rest := r.Path, ""
	if i := strings.LastIndex(path, "{"); i >= 0 && strings.HasSuffix(path, "...}") {
		path, rest = path[:i]+"*", strings.TrimSuffix(path[i+1:], "...}")
	}
	a.describe(r)
	a.echo.Add(r.Method, strings.NewReplacer("{", ":", "}", "").Replace(path), func(c echo.Context) error {
		value := func(name string) string {
			if rest != "" && name == rest {
				name = "*"
			}
			return c.Param(name)
		}
		ctx, err := a.admit(c, r, rule, value)
		if err == nil {
			err = checkQuery(c.Request().URL.RawQuery, r.Query, a.options.Lenient)
		}
		if err != nil {
			return err
		}
		ctx, cancel := untilShutdown(ctx)
		defer cancel()
		record := c.Response().Writer.(*recorder)
		request := c.Request().WithContext(ctx)
		if r.Idle > 0 {
			record.stream(request, r.Idle)
		}
		request.Body = http.MaxBytesReader(record.ResponseWriter, request.Body, r.maxBody())
		if r.Idle > 0 {
			defer request.Body.Close() // whoever still waits for more of it stops
			defer context.AfterFunc(ctx, record.hurry)()
		}
		if r.Body == nil {
			err = discard(request)
		}
		if err == nil {
			err = h(record, request, value)
		}
		if err == nil || !record.begun() {
			return err
		}
		note(ctx, http.StatusInternalServerError, err)
		switch {
		case record.hijacked:
		case r.Told && record.broken == nil:
			tell(ctx, record.Header(), err)
		default:
			panic(http.ErrAbortHandler)
		}
		return nil
	})
}

// discard reads the body of a request that should have none. While one is unread the server does not notice that the
// caller leaves, and its stream would go on for nobody.
func discard(r *http.Request) error {
	_, err := io.Copy(io.Discard, r.Body)
	if err == nil || describe(r.Context(), err).Code != api.CodeInternal {
		return err
	}
	return api.InField("body", "it ended early: send the whole body, or none")
}

// describe puts a Raw route into OpenAPI: what it writes is said in words only.
func (a *API) describe(r Route) {
	document := a.huma.OpenAPI()
	operation := &huma.Operation{
		OperationID: r.ID, Method: r.Method, Path: strings.Replace(r.Path, "...}", "}", 1), Summary: r.Summary,
		Responses: map[string]*huma.Response{
			strconv.Itoa(cmp.Or(r.Status, http.StatusOK)): {Description: "A stream or a document"},
			"default": {Description: "Error", Content: map[string]*huma.MediaType{
				problemType: {Schema: document.Components.Schemas.Schema(reflect.TypeFor[api.Error](), true, "Error")},
			}},
		},
	}
	for part := range strings.SplitSeq(operation.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			operation.Parameters = append(operation.Parameters, &huma.Param{
				Name: strings.TrimSuffix(name, "}"), In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString},
			})
		}
	}
	for _, q := range r.Query {
		operation.Parameters = append(operation.Parameters, q.describe())
	}
	switch r.Body.(type) {
	case nil:
	case Bytes:
		operation.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}}
	default:
		operation.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: document.Components.Schemas.Schema(reflect.TypeOf(r.Body), true, r.ID)},
		}}
	}
	document.AddOperation(operation)
	a.loosenAll()
}

func (r Route) maxBody() int64 {
	if r.MaxBody == 0 {
		return bodyMax
	}
	return r.MaxBody
}

// add checks a route and puts it into the list.
func (a *API) add(r Route, rule Rule) {
	name := r.Method + " " + r.Path
	if r.Method == "" || !strings.HasPrefix(r.Path, "/") || r.ID == "" {
		panic(fmt.Sprintf("wire: route %q (%s) needs a method, a path from / on and an id", name, r.ID))
	}
	if rule.Name == "" || rule.Allow == nil {
		panic(fmt.Sprintf("wire: route %s has no access rule", name))
	}
	if slices.ContainsFunc(a.routes, func(o RouteInfo) bool { return o.ID == r.ID || o.Method+" "+o.Path == name }) {
		panic(fmt.Sprintf("wire: route %s (%s) is there already", name, r.ID))
	}
	a.routes = append(a.routes, RouteInfo{Method: r.Method, Path: r.Path, ID: r.ID, Rule: rule.Name})
}

// gate admits the caller of a typed route before its body is read.
func (a *API) gate(route Route, rule Rule) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		inner := humaecho.Unwrap(c)
		ctx, err := a.admit(inner, route, rule, c.Param)
		if err != nil {
			writeProblem(inner.Response(), inner.Request(), err)
			return
		}
		next(huma.WithContext(c, ctx))
	}
}

// admit finds out who calls, tells who follows requests, and asks the rule.
func (a *API) admit(c echo.Context, route Route, rule Rule, path func(string) string) (context.Context, error) {
	r := c.Request()
	for i, name := range c.ParamNames() {
		// echo lets the last parameter of a path take all the rest, or nothing.
		if value := c.ParamValues()[i]; name != "*" && (value == "" || strings.Contains(value, "/")) {
			return nil, unrouted(echo.ErrNotFound, c)
		}
	}
	caller, unknown := a.options.Authenticate(r)
	if unknown != nil {
		caller = Caller{}
	}
	know(r.Context(), caller)
	ctx := withCaller(r.Context(), caller)
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		x.route, x.caller = route.ID, caller
		if a.options.Follow != nil {
			info := RouteInfo{Method: route.Method, Path: route.Path, ID: route.ID, Rule: rule.Name}
			ctx, x.ended = a.options.Follow(ctx, Visit{Route: info, Caller: caller, Request: r, Path: path})
		}
	}
	err := rule.Allow(ctx, caller, path)
	if err != nil && unknown != nil {
		err = unknown
	}
	return ctx, err
}

// aliasProblem shows every error in OpenAPI as the api.Error that it is.
func aliasProblem(r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[problem](), reflect.TypeFor[api.Error]())
}

func (a *API) loosenAll() {
	for _, schema := range a.huma.OpenAPI().Components.Schemas.Map() {
		a.loosen(schema)
	}
}

// loosen lets through what Go's zero values look like in JSON: null for a map without entries (huma lets only lists be
// null), and "" for an address that is not known. Addresses are still checked, when the body is decoded.
func (a *API) loosen(s *huma.Schema) {
	if s == nil || a.loose[s] {
		return
	}
	a.loose[s] = true
	if s.Format == "ip" {
		s.Format = ""
	}
	if closed, ok := s.AdditionalProperties.(bool); ok && !closed && a.options.Lenient {
		s.AdditionalProperties = true
	}
	if entry, ok := s.AdditionalProperties.(*huma.Schema); ok {
		s.Nullable = true
		a.loosen(entry)
	}
	for _, member := range s.Properties {
		a.loosen(member)
	}
	a.loosen(s.Items)
}
