package wire

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"unicode"

	"conpaas/client/api"
)

const (
	passedText  = 1 << 10 // bytes of a child's text that are passed on
	passedField = 100
)

// Passed makes of the error of a call to a child one that the caller's own caller may see. What the child has answered
// about the request keeps its code and, in one line and bounded, its text. Everything else is said in words of this
// component, who names the child in them: that it does not answer, or not to the end, or has failed, which only logs
// tell more about. A child
// cannot make a caller log in again or take it for forbidden. nil stays nil.
func Passed(ctx context.Context, who string, err error) error {
	if err == nil {
		return nil
	}
	said, ok := errors.AsType[*api.Error](err)
	if !ok {
		return &passedError{problem: api.Errorf(api.CodeUnavailable, "%s has broken its answer off; try again", who), cause: err}
	}
	_, broken := errors.AsType[*callError](err)
	_, strange := errors.AsType[*strangeAnswer](err)
	out := hidden(ctx, who)
	switch code := said.Code; {
	case broken && code == api.CodeTimeout:
		out = api.Errorf(code, "%s did not answer in time; try again", who)
	case broken && code == api.CodeUnavailable:
		out = api.Errorf(code, "%s does not answer now; try again", who)
	case strange:
		out = api.Errorf(code, "%s answers with status %d and no reason", who, said.Status)
	case code == api.CodeStale:
		out = api.Errorf(api.CodeUnavailable, "%s obeys a newer parent; try again", who)
	case code == api.CodeProtocol:
		out = api.Errorf(api.CodeUnsupported, "%s runs another version: %s", who, oneLine(said.Detail, passedText))
	case passes(code):
		out = api.Errorf(code, "%s", oneLine(said.Detail, passedText))
		out.Field, out.Retry = oneLine(said.Field, passedField), said.Retry
	}
	if !passes(out.Code) {
		out = hidden(ctx, who)
	}
	return &passedError{problem: out, cause: err}
}

// hidden is the error of a child whose reason is nobody's business but the operator's.
func hidden(ctx context.Context, who string) *api.Error {
	return api.Errorf(api.CodeInternal, "%s has failed; its log has the reason under request %s", who, RequestID(ctx))
}

// passes tells whether a code speaks about the request, so that it may come from a child.
func passes(code api.Code) bool {
	switch code {
	case api.CodeInvalid, api.CodeNotFound, api.CodeConflict, api.CodeTooLarge, api.CodeQuota, api.CodeThrottled,
		api.CodeUnavailable, api.CodeFull, api.CodeTimeout, api.CodeUnsupported:
		return true
	}
	return false
}

// OneLine gives a text as one line of at most 1 KiB that a header may carry and a terminal show.
func OneLine(text string) string { return oneLine(text, passedText) }

// oneLine gives at most so many bytes of a text, without what a terminal would obey.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return cut(text, most)
}

// passedError reads as what the caller may see, and is logged as what it was.
type passedError struct {
	problem *api.Error
	cause   error
}

func (e *passedError) Error() string   { return e.problem.Error() }
func (e *passedError) Unwrap() []error { return []error{e.problem, e.cause} }
func (e *passedError) LogValue() slog.Value {
	return slog.StringValue(e.problem.Error() + ": " + e.cause.Error())
}

// strangeAnswer is an error answer that is no problem document.
type strangeAnswer struct{ problem *api.Error }

func (e *strangeAnswer) Error() string { return e.problem.Error() }
func (e *strangeAnswer) Unwrap() error { return e.problem }
