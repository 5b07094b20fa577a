package wire

import (
	"context"
	"crypto/rand"
	"net/http"

	"conpaas/client/api"
)

// requestIDMax is the longest request id that is taken over from a caller, in bytes.
const requestIDMax = 64

type requestIDKey struct{}

type requestID struct {
	id    string
	given bool // by the caller
}

// RequestID gives the id of the request that ctx belongs to, "" where there is none. Calls made with ctx carry it on.
func RequestID(ctx context.Context) string {
	r, _ := ctx.Value(requestIDKey{}).(requestID)
	return r.id
}

// GivenRequestID is RequestID where the caller has named the request, "" where its id was made here: whoever names a
// request means to find it in logs again.
func GivenRequestID(ctx context.Context) string {
	if r, _ := ctx.Value(requestIDKey{}).(requestID); r.given {
		return r.id
	}
	return ""
}

// WithRequestID makes the calls of work that no request has caused traceable under one id. An id that is not well-formed
// (1 to 64 letters, digits, '-', '_', '.') is replaced by a new one.
func WithRequestID(ctx context.Context, id string) context.Context {
	given := isRequestID(id)
	if !given {
		id = rand.Text()
	}
	return context.WithValue(ctx, requestIDKey{}, requestID{id: id, given: given})
}

// identify gives the request with its id in the context: that of an outer handler, else the caller's, else a new one.
func identify(r *http.Request) (*http.Request, string) {
	if id := RequestID(r.Context()); id != "" {
		return r, id
	}
	ctx := WithRequestID(r.Context(), r.Header.Get(api.HeaderRequestID))
	return r.WithContext(ctx), RequestID(ctx)
}

func isRequestID(id string) bool {
	if id == "" || len(id) > requestIDMax {
		return false
	}
	for _, c := range []byte(id) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
