package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/cenkalti/backoff/v5"
)

func lost(err error) string {
	return fmt.Sprintf("the connection to the director is lost (%v); trying again until it is back", err)
}

// retry decides whether and when a stream that has broken is opened again.
type retry struct {
	pause *backoff.ExponentialBackOff
	tell  func(error) // called once per outage
	told  bool
}

func newRetry(tell func(error)) *retry {
	const first, most = 200 * time.Millisecond, 5 * time.Second
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = first, most
	return &retry{pause: pause, tell: tell}
}

// good says that the stream works.
func (r *retry) good() {
	r.pause.Reset()
	r.told = false
}

// wait pauses after a stream has ended, with an error or without. It fails when ctx ends, with its cause, and
// for an error that no retry helps against.
func (r *retry) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if definite(err) {
		return err
	}
	if err != nil && !r.told {
		r.told = true
		r.tell(err)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(r.pause.NextBackOff()):
		return nil
	}
}

// definite tells whether the director has said no or what nobody understands, so that the same request would
// fail again.
func definite(err error) bool {
	_, untrusted := errors.AsType[*director.TrustError](err)
	_, noJSON := errors.AsType[*json.SyntaxError](err)
	_, otherJSON := errors.AsType[*json.UnmarshalTypeError](err)
	if untrusted || noJSON || otherJSON {
		return true
	}
	problem, ok := errors.AsType[*api.Error](err)
	if !ok {
		return false
	}
	switch problem.Code {
	case api.CodeInvalid, api.CodeUnauthenticated, api.CodeForbidden, api.CodeNotFound, api.CodeConflict, api.CodeUnsupported:
		return true
	}
	return false
}
