package wire

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"conpaas/client/api"
)

const (
	bodyMax     = 1 << 20          // bytes of a body where the route names no limit
	handlerTime = 60 * time.Second // a typed handler that needs longer makes an operation of it
	statusGone  = 499              // in the log: the caller left before the answer
)

// Route is what a caller sees of one route.
type Route struct {
	Method  string
	Path    string // with parameters as /v1/applications/{application}; a Raw route may end in {name...}: all the rest
	ID      string // unique, for OpenAPI and logs, for example start-service
	Summary string
	Status  int     // of a success; 0: 200, or 204 where there is no body
	MaxBody int64   // bytes; 0: 1 MiB
	Query   []Query // of a Raw route
	Body    any     // of a Raw route, for OpenAPI: a value of the type that Decode fills, or Bytes; nil: it takes none

	// Idle is for a Raw route whose body and answer are streams that may stand still, since one waits for the other: it ends when
	// nothing moves for so long, however slow it is otherwise. It may read its body while it answers.
	Idle time.Duration
	// Told has an error after the first byte of an answer told in its trailer, which Transfer reads. It is for callers that do read
	// it: for others the answer looks complete. Without it the connection is cut.
	Told bool
}

// Bytes is the Body of a Raw route that takes one that is no JSON.
type Bytes struct{}

// Options are what an API needs of its component.
type Options struct {
	Title, Version string // for OpenAPI
	Log            *slog.Logger
	// Authenticate says who calls. No credentials at all are an anonymous caller, not an error. After an error only
	// routes that an anonymous caller may use are served; others answer with that error.
	Authenticate func(*http.Request) (Caller, error)
	// Lenient passes over members of bodies and queries that are not known. It is for calls between components, of which
	// the caller may be the newer one; a member that users write is refused, since it may be misspelt.
	Lenient bool
	// Follow is told of each request that a route takes, when it is known who calls and before the rule is asked. The context
	// that it gives is the handler's, the function is called when the request has been answered. It may be nil.
	Follow  func(ctx context.Context, v Visit) (context.Context, func(status int, cause error))
	Header  func(http.Header) // adds to the header of every answer; may be nil
	Metrics *Metrics          // counts the requests; may be nil
}

// API is a set of routes with one way of refusing, logging and bounding. Routes are added before Handler is used.
type API struct {
	options Options
	echo    *echo.Echo
	huma    huma.API
	foreign *http.CrossOriginProtection
	routes  []RouteInfo
	loose   map[*huma.Schema]bool
}

// RouteInfo is a route as it was registered.
type RouteInfo struct{ Method, Path, ID, Rule string }

// Visit is a request that a route has taken.
type Visit struct {
	Route   RouteInfo
	Caller  Caller
	Request *http.Request
	Path    func(name string) string // values of the path
}

// NewAPI makes an API without routes. It panics when Log or Authenticate is missing.
func NewAPI(o Options) *API {
	if o.Log == nil || o.Authenticate == nil {
		panic("wire.NewAPI: Log and Authenticate are needed")
	}
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = func(err error, c echo.Context) { writeProblem(c.Response(), c.Request(), unrouted(err, c)) }
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	aliasProblem(registry)
	return &API{
		options: o, echo: e, foreign: http.NewCrossOriginProtection(), loose: map[*huma.Schema]bool{},
		huma: humaecho.New(e, huma.Config{
			OpenAPI: &huma.OpenAPI{
				Info:       &huma.Info{Title: o.Title, Version: o.Version},
				Components: &huma.Components{Schemas: registry},
			},
			Formats:                      map[string]huma.Format{"application/json": jsonFormat(), "json": jsonFormat()},
			DefaultFormat:                "application/json",
			RejectUnknownQueryParameters: !o.Lenient,
		}),
	}
}

// unrouted makes the error of a request that no route takes.
func unrouted(err error, c echo.Context) error {
	r := c.Request()
	switch err {
	case echo.ErrNotFound:
		return api.Errorf(api.CodeNotFound, "there is nothing at %.200s", r.URL.Path)
	case echo.ErrMethodNotAllowed:
		e := api.Errorf(api.CodeInvalid, "%.20s is not possible at %.200s; possible are: %s", r.Method, r.URL.Path, c.Response().Header().Get("Allow"))
		e.Status = http.StatusMethodNotAllowed
		return e
	}
	return err
}

// Handler serves the routes.
func (a *API) Handler() http.Handler { return http.HandlerFunc(a.serve) }

// Routes lists the routes in the order of their registration.
func (a *API) Routes() []RouteInfo { return append([]RouteInfo(nil), a.routes...) }

// OpenAPI gives the description of all routes, version 3.1, as indented JSON.
func (a *API) OpenAPI() ([]byte, error) {
	text, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", a.options.Title, err)
	}
	return append(text, '\n'), nil
}

// serve handles one request: its id, limits and log line, and what is wrong in any handler.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	r, id := identify(r)
	x := &exchange{title: a.options.Title, lenient: a.options.Lenient}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	r.URL.RawPath = "" // routes and their values are made from the decoded path alone
	record := newRecorder(w)
	record.Header().Set(api.HeaderRequestID, id)
	record.Header().Set("Cache-Control", "no-store")
	if a.options.Header != nil {
		a.options.Header(record.Header())
	}
	record.control.SetWriteDeadline(time.Time{}) // the last answer on this connection has left its own
	pace(record.control, r)
	defer func() { a.end(record, r, x, start, recover()) }()
	if err := a.foreign.Check(r); err != nil {
		writeProblem(record, r, api.Errorf(api.CodeForbidden, "a page of another site may not do this: %v", err))
		return
	}
	a.echo.ServeHTTP(record, r)
}

// end answers what is unanswered after a panic, logs the request, and cuts an answer that will not be complete.
func (a *API) end(record *recorder, r *http.Request, x *exchange, start time.Time, fault any) {
	gone := r.Context().Err() != nil || record.broken != nil
	cut := fault != nil && record.begun()
	level := slog.LevelDebug
	if GivenRequestID(r.Context()) != "" {
		level = slog.LevelInfo
	}
	if fault != nil && fault != http.ErrAbortHandler && !gone {
		level = slog.LevelError
		x.cause = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
	}
	if fault != nil && !cut {
		writeProblem(record, r, cmp.Or(x.cause, errAborted))
	}
	status := record.status
	switch {
	case record.hijacked:
		status = http.StatusSwitchingProtocols
	case gone && (status == 0 || fault != nil):
		status = statusGone
	case status == 0:
		status = http.StatusOK
	case status >= 500:
		level = max(level, slog.LevelInfo)
	}
	a.options.Metrics.count(x.route, status, time.Since(start))
	if x.ended != nil {
		x.ended(status, x.cause)
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", shorten(r.URL.Path)), slog.Int("status", status),
		slog.Duration("duration", time.Since(start)), slog.String("request", RequestID(r.Context())), slog.Any("caller", x.caller),
	}
	if x.cause != nil {
		attrs = append(attrs, slog.Any("err", x.cause))
	}
	a.options.Log.LogAttrs(r.Context(), level, "request", attrs...)
	switch {
	case record.hijacked:
	case cut:
		panic(http.ErrAbortHandler)
	default:
		record.control.SetWriteDeadline(time.Now().Add(writeTime)) // for what the server still has in its buffer
	}
}

// errAborted is the cause of an answer that a handler has given up before its first byte.
var errAborted = errors.New("the handler has aborted the request")

func shorten(path string) string { return cut(path, 200) }

// cut gives at most so many bytes of a text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
