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

// RequestID gives the id of the request that ctx belongs to, "" where there is none. Calls made with ctx carry it on.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID makes the calls of work that no request has caused traceable under one id. An id that is not well-formed
// (1 to 64 letters, digits, '-', '_', '.') is replaced by a new one.
func WithRequestID(ctx context.Context, id string) context.Context {
	if !isRequestID(id) {
		id = rand.Text()
	}
	return context.WithValue(ctx, requestIDKey{}, id)
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
