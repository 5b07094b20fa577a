package cloud

import (
	"context"
	"errors"
	"net"
)

// Kind says what an error of a cloud means for the caller.
type Kind string

// The kinds of errors.
const (
	KindQuota     Kind = "quota"     // a limit of the account is reached; retrying does not help
	KindCapacity  Kind = "capacity"  // the cloud has no room now; another cloud or a later time may
	KindAuth      Kind = "auth"      // the credentials are wrong, expired or not allowed to do this
	KindThrottled Kind = "throttled" // too many calls; retry later and slower
	KindNotFound  Kind = "not_found" // the machine, image, size or network named does not exist
	KindInUse     Kind = "in_use"    // machines use the image; the text names them
	KindTransient Kind = "transient" // it may have happened or not; retry with the same token
	KindPermanent Kind = "permanent" // the request or the configuration is wrong; the text says what to change
)

// Retry tells whether the same call may succeed later without a change by people.
func (k Kind) Retry() bool {
	return k == KindCapacity || k == KindThrottled || k == KindTransient
}

// Error is an error of a cloud. It never holds a credential.
type Error struct {
	Kind  Kind
	Cloud string // name of the configured cloud
	Op    string // what was tried, for example launch
	Text  string // what happened, with the remedy; the cloud's own words where it has some
	Err   error  // cause, may be nil
}

// Error gives the cloud, what was tried, the text and the cause.
func (e *Error) Error() string {
	s := "cloud " + e.Cloud + ": " + e.Op
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of an error that wraps an *Error. Of other errors, a cancelled or late call and network
// trouble are KindTransient and the rest is KindPermanent; nil gives "".
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	_, network := errors.AsType[net.Error](err)
	if network || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return KindTransient
	}
	return KindPermanent
}
