package wire

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/danielgtaylor/huma/v2"

	"conpaas/client/api"
)

const (
	problemType = "application/problem+json"
	detailMax   = 2 << 10 // bytes of the detail of an error: a request that is repeated in it may be long
	fieldMax    = 200     // bytes of the name of a field, and of a value that a detail repeats
	findingsMax = 5       // findings about a request that one error tells

	internalText = "internal error; the log of the component that answered has the reason under this request id"
)

// problem is an api.Error as huma wants its errors. Every error answer is one.
type problem api.Error

// Error gives the text of the api.Error.
func (p *problem) Error() string { return (*api.Error)(p).Error() }

// retryAfter is when, in seconds, a request that may succeed later is to be made again.
const retryAfter = "5"

// GetHeaders is what the answer says beside the document, for huma.
func (p *problem) GetHeaders() http.Header {
	header := http.Header{}
	if p.Retry {
		header.Set("Retry-After", retryAfter)
	}
	if p.Status == http.StatusUnauthorized {
		header.Set("Www-Authenticate", "Bearer")
	}
	return header
}

// GetStatus is the HTTP status, for huma.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is that of RFC 9457, for huma.
func (p *problem) ContentType(string) string { return problemType }

// huma takes the type of its errors from two package variables. They are set here, before anything runs, and nowhere else.
func init() {
	huma.NewError = func(status int, text string, causes ...error) huma.StatusError {
		return refusedByHuma("", status, text, causes)
	}
	huma.NewErrorWithContext = func(c huma.Context, status int, text string, causes ...error) huma.StatusError {
		switch status {
		case http.StatusRequestEntityTooLarge:
			text = fmt.Sprintf("the body is longer than %d bytes", c.Operation().MaxBodyBytes-1)
		case http.StatusUnsupportedMediaType:
			text, causes = fmt.Sprintf("the body must be application/json, not %.100q", c.Header("Content-Type")), nil
		}
		p := refusedByHuma(RequestID(c.Context()), status, text, causes)
		note(c.Context(), p.Status, errors.Join(append(causes, errors.New(text))...))
		return p
	}
}

// refusedByHuma makes the problem of a request that huma has refused: what it found wrong, or that it could not read.
func refusedByHuma(id string, status int, text string, causes []error) *problem {
	for _, cause := range causes {
		if known, ok := errors.AsType[*api.Error](cause); ok {
			return newProblem(id, *known)
		}
	}
	if status == http.StatusInternalServerError && len(causes) > 0 {
		return newProblem(id, *api.InField("body", "it ended early: send the whole body"))
	}
	e := api.Error{Code: api.CodeOf(status), Status: status, Detail: text}
	if status == http.StatusRequestTimeout {
		e.Code, e.Retry = api.CodeTimeout, true
	}
	e.Field, e.Detail = findings(text, causes)
	return newProblem(id, e)
}

// findings joins what huma found wrong, in a steady order, and names the part of the request that the first is about.
func findings(text string, causes []error) (field, detail string) {
	var list []huma.ErrorDetail
	for _, cause := range causes {
		if d, ok := cause.(huma.ErrorDetailer); ok {
			found := *d.ErrorDetail()
			found.Location = strings.TrimPrefix(found.Location, "body.")
			list = append(list, found)
		}
	}
	if len(list) == 0 {
		return "", text
	}
	slices.SortStableFunc(list, func(a, b huma.ErrorDetail) int {
		return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.Message, b.Message))
	})
	detail = list[0].Message
	for _, more := range list[1:min(len(list), findingsMax)] {
		detail += "; " + more.Location + ": " + more.Message
	}
	if len(list) > findingsMax {
		detail += fmt.Sprintf("; and %d more", len(list)-findingsMax)
	}
	return list[0].Location, detail
}

// newProblem completes a copy of e. The text of internal errors stays inside.
func newProblem(id string, e api.Error) *problem {
	if e.Code == "" {
		e.Code = api.CodeInternal
	}
	if e.Status < 400 || e.Status > 599 {
		e.Status = e.Code.Status()
	}
	if e.Code == api.CodeInternal {
		e.Detail, e.Field = internalText, ""
	}
	e.Detail, e.Field = cut(e.Detail, detailMax), cut(e.Field, fieldMax)
	e.Title = strings.ReplaceAll(string(e.Code), "_", " ")
	e.RequestID = id
	return (*problem)(&e)
}

// problemOf makes the answer to a handler's error and notes its whole text for the log.
func problemOf(ctx context.Context, err error) *problem {
	p := newProblem(RequestID(ctx), describe(ctx, err))
	note(ctx, p.Status, err)
	return p
}

func describe(ctx context.Context, err error) api.Error {
	if known, ok := errors.AsType[*api.Error](err); ok {
		return *known
	}
	if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return *api.Errorf(api.CodeTooLarge, "the body is longer than %d bytes", long.Limit)
	}
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return *api.Errorf(api.CodeTimeout, "it took longer than %s", handlerTime)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		who := "component that answered"
		if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
			who = x.title
		}
		return *api.Errorf(api.CodeFull, "the disk of the %s is full; free some space and try again", who)
	}
	return api.Error{Code: api.CodeInternal}
}

// writeProblem answers a request with err.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), err)
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of strings and numbers always encodes
	}
	header := w.Header()
	header.Set("Content-Type", problemType)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set(api.HeaderRequestID, p.RequestID)
	maps.Copy(header, p.GetHeaders())
	w.WriteHeader(p.Status)
	w.Write(text) // a caller that has gone hears nothing
}
