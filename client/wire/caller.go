package wire

import (
	"context"
	"log/slog"
	"strconv"

	"conpaas/certs"
	"conpaas/client/api"
)

// Kind says what a caller is.
type Kind string

// The kinds of callers.
const (
	KindAnonymous Kind = ""
	KindUser      Kind = "user"
	KindManager   Kind = "manager"
	KindAgent     Kind = "agent"
	KindDirector  Kind = "director"
	KindRelay     Kind = "relay" // of the installation, on a machine of its own
)

// Caller is who makes a request, as the component's Authenticate has found. The zero Caller is anonymous.
type Caller struct {
	Kind       Kind
	Identity   certs.Identity // of the certificate, where there is one
	Serial     string         // of a user's certificate, where there is one
	TokenHash  string         // of a user's token, where there is one
	User       api.UserID     // of a user
	UserName   string
	Admin      bool
	Credential string // by what it is known, for people, for example "token ci (3)"
	Expired    bool   // its certificate has expired lately: it may be renewed with, and nothing else
}

// String names the caller in logs, for example "user 7 (ada)", "agent n12", "anonymous".
func (c Caller) String() string {
	switch c.Kind {
	case KindAnonymous:
		return "anonymous"
	case KindUser:
		return "user " + strconv.FormatInt(int64(c.User), 10) + " (" + c.UserName + ")"
	case KindManager, KindAgent:
		return string(c.Kind) + " " + c.Identity.Node
	}
	return string(c.Kind)
}

// LogValue logs the caller as its String.
func (c Caller) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Rule is the named access rule of a route. Allow is given the caller and the values of the path; nil lets the request
// through, an *api.Error (unauthenticated, forbidden, not_found) is the answer otherwise.
type Rule struct {
	Name  string
	Allow func(ctx context.Context, c Caller, path func(name string) string) error
}

type callerKey struct{}

// CallerFrom gives the caller of the request that ctx belongs to; anonymous where there is none.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

func withCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}
