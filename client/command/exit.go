package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
)

// The exit statuses; the topic exit-codes explains them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitUnavailable = 5
	exitOperation   = 6
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// failure is an error that says its exit status. One without a cause ends the program in silence.
type failure struct {
	status int
	cause  error
}

// Error gives the text of the cause.
func (f *failure) Error() string {
	if f.cause == nil {
		return fmt.Sprintf("exit status %d", f.status)
	}
	return f.cause.Error()
}

// Unwrap gives the cause.
func (f *failure) Unwrap() error { return f.cause }

func failf(status int, format string, args ...any) error {
	return &failure{status: status, cause: fmt.Errorf(format, args...)}
}

func usagef(format string, args ...any) error { return failf(exitUsage, format, args...) }

var statusOf = map[api.Code]int{
	api.CodeNotFound:        exitNotFound,
	api.CodeUnauthenticated: exitRefused, api.CodeSecondFactor: exitRefused, api.CodeForbidden: exitRefused, api.CodeQuota: exitRefused, api.CodeCredit: exitRefused,
	api.CodeThrottled: exitUnavailable, api.CodeUnavailable: exitUnavailable, api.CodeTimeout: exitUnavailable,
	api.CodeFull: exitUnavailable,
}

func exitStatus(ctx context.Context, err error) int {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.status
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if _, ok := errors.AsType[*director.TrustError](err); ok {
		return exitRefused
	}
	if status, ok := statusOf[api.CodeFrom(err)]; ok {
		return status
	}
	return exitFailed
}

// explain gives the text of an error with what the user can do about it; empty when nothing is to be said.
func (g *Global) explain(ctx context.Context, err error) string {
	if f, ok := errors.AsType[*failure](err); ok && f.cause == nil {
		return ""
	}
	if trust, ok := errors.AsType[*director.TrustError](err); ok {
		return before(err, trust) + g.explainTrust(ctx, trust)
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return err.Error()
	}
	if ctx.Err() != nil {
		return "interrupted"
	}
	text := err.Error()
	if problem, ok := errors.AsType[*api.Error](err); ok {
		switch {
		case problem.Code == api.CodeUnauthenticated && g.loggingIn:
		case problem.Code == api.CodeUnauthenticated:
			text += "; log in with: cps login"
		case problem.Code == api.CodeInternal && problem.RequestID != "":
			text += "; the director's log tells more about request " + problem.RequestID
		case exitStatus(ctx, err) == exitUnavailable && problem.RequestID != "":
			text += " (request " + problem.RequestID + ")"
		}
	}
	return text
}

// before is what the callers have written in front of the text of a cause.
func before(err, cause error) string {
	if text, ok := strings.CutSuffix(err.Error(), cause.Error()); ok {
		return text
	}
	return ""
}

// explainTrust says why a certificate was refused and what to do. Where it is of another CA, the director is
// asked for its CA, so that the user has a fingerprint to compare.
func (g *Global) explainTrust(ctx context.Context, refused *director.TrustError) string {
	if _, ok := errors.AsType[x509.HostnameError](refused); ok {
		return fmt.Sprintf("%v; use one of the names that the certificate has, as --director or with cps login", refused)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](refused); ok && invalid.Reason == x509.Expired {
		return fmt.Sprintf("%v; the clock of this computer says %s: set it right, or ask the director's administrator to renew the certificate",
			refused, time.Now().UTC().Format(time.RFC3339))
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](refused); !ok {
		return refused.Error()
	}
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	remedy := "ask its administrator for the right CA certificate and log in with: cps login " + refused.URL + " --ca FILE"
	if offered, err := director.FetchAuthority(ctx, refused.URL); err == nil {
		list := strings.Join(offered.Fingerprints, ", ")
		remedy = fmt.Sprintf("it now gives the CA %s. Ask its administrator whether that is right, and only then log in with: cps login %s --fingerprint %s",
			list, refused.URL, offered.Fingerprints[len(offered.Fingerprints)-1])
	}
	return fmt.Sprintf("the certificate of %s is not signed by the CA %s that is trusted (%s). The director has a new CA, or something between you and it listens in; %s",
		refused.URL, strings.Join(g.trusted.Fingerprints, ", "), filepath.ToSlash(g.trustedFrom), remedy)
}
