package api

import (
	"errors"
	"fmt"
	"net/http"
)

// Code says what went wrong in one word that programs may rely on.
type Code string

// The codes that any component may answer.
const (
	CodeInvalid         Code = "invalid"         // the request is wrong; Field names the part
	CodeUnauthenticated Code = "unauthenticated" // no valid certificate, token or password
	CodeSecondFactor    Code = "second_factor"   // the login needs a code beside name and password
	CodeForbidden       Code = "forbidden"       // known caller, rule says no
	CodeNotFound        Code = "not_found"       // unknown, or of somebody else
	CodeConflict        Code = "conflict"        // the state of the thing does not allow it, or a name is taken
	CodeStale           Code = "stale"           // a downward call from a deposed parent (lower epoch)
	CodeProtocol        Code = "protocol"        // a downward call in a protocol that the child does not speak
	CodeTooLarge        Code = "too_large"       // body or archive over its limit
	CodeQuota           Code = "quota"           // a quota or an address space is used up
	CodeThrottled       Code = "throttled"       // too many requests; retry later
	CodeUnavailable     Code = "unavailable"     // a part that is needed does not answer now; retry
	CodeFull            Code = "storage_full"    // no space left
	CodeTimeout         Code = "timeout"         // it took longer than its limit
	CodeUnsupported     Code = "unsupported"     // this cloud or service type cannot do it
	CodeInternal        Code = "internal"        // a fault of the component; details are in its log
)

var statusOf = map[Code]int{
	CodeInvalid: http.StatusUnprocessableEntity, CodeUnauthenticated: http.StatusUnauthorized, CodeSecondFactor: http.StatusUnauthorized,
	CodeForbidden: http.StatusForbidden, CodeNotFound: http.StatusNotFound, CodeConflict: http.StatusConflict,
	CodeStale: http.StatusConflict, CodeTooLarge: http.StatusRequestEntityTooLarge, CodeQuota: http.StatusForbidden,
	CodeThrottled: http.StatusTooManyRequests, CodeUnavailable: http.StatusServiceUnavailable,
	CodeFull: http.StatusInsufficientStorage, CodeTimeout: http.StatusGatewayTimeout,
	CodeUnsupported: http.StatusNotImplemented, CodeProtocol: http.StatusNotImplemented, CodeInternal: http.StatusInternalServerError,
	CodeCredit: http.StatusPaymentRequired,
}

// Status is the HTTP status that carries the code; an unknown code is a 500.
func (c Code) Status() int {
	if s, ok := statusOf[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// CodeOf gives the code that best fits an HTTP status, for answers that are no problem document.
func CodeOf(status int) Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusUnsupportedMediaType, http.StatusMethodNotAllowed:
		return CodeInvalid
	case http.StatusConflict:
		return CodeConflict
	case http.StatusUnauthorized:
		return CodeUnauthenticated
	case http.StatusForbidden:
		return CodeForbidden
	case http.StatusNotImplemented:
		return CodeUnsupported
	}
	for code, s := range statusOf {
		if s == status {
			return code
		}
	}
	return CodeInternal
}

// Error is a problem document (RFC 9457) and the error that every typed client returns for one.
type Error struct {
	Code      Code   `json:"code" doc:"What went wrong, for programs"`
	Title     string `json:"title,omitempty" doc:"The code in words"`
	Status    int    `json:"status,omitempty" doc:"HTTP status"`
	Detail    string `json:"detail" doc:"What went wrong and what to do, for people"`
	Field     string `json:"field,omitempty" doc:"The part of the request that is wrong"`
	RequestID string `json:"request_id,omitempty" doc:"Find this in the logs"`
	Retry     bool   `json:"retry,omitempty" doc:"Whether the same request may succeed later"`
}

// Error gives the detail, preceded by the field where there is one.
func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Detail
	}
	return e.Detail
}

// Errorf makes an Error with a code and a formatted detail. Its Retry is set for the codes that may pass.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{
		Code: code, Status: code.Status(), Detail: fmt.Sprintf(format, args...),
		Retry: code == CodeThrottled || code == CodeUnavailable || code == CodeTimeout || code == CodeFull,
	}
}

// InField is Errorf with CodeInvalid for one part of the request, for example "nodes.backend".
func InField(field, format string, args ...any) *Error {
	e := Errorf(CodeInvalid, format, args...)
	e.Field = field
	return e
}

// CodeFrom gives the code of an error that wraps an *Error, else CodeInternal; nil gives "".
func CodeFrom(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
