package service

import (
	"context"
	"io"

	"conpaas/agent/host"
	"conpaas/client/api"
)

// ActionCall is one call of an action of the catalogue.
type ActionCall struct {
	Action string
	Params map[string]string // as in the catalogue, checked by the director; a parameter that was not given has its default
	In     io.ReadCloser     // io.EOF is its whole end; where the caller breaks off it is another error. Close stops a Read that waits
	Out    io.Writer         // it waits for a slow reader, and fails when there is none any more
}

// Performer is a Half whose type has actions. Perform does one on this machine and returns when it has ended, and all that it has
// started with it: at the end of ctx, and where In or Out fail, it breaks off. In and Out are streams of any length; nothing of them is
// kept but what must be. The machine performs one action at a time, on a Half of its own: others are applied and looked at meanwhile.
// The roles are those that were last sent, applied or not.
//
// An error is what the caller is told: an *api.Error with its code, any other as a conflict with its text, which must hold no secret. One
// behind the first byte of Out ends the output without its looking complete. A *Skipped is a success.
//
// Where an action has a switch named api.ParamNew, it does its work only while nothing of its kind is there, or what is there is
// what an earlier call with the switch has left that was broken off, which it marks while it works; else it is a *Skipped. Who describes
// an application can so repeat the call without losing data.
type Performer interface {
	Perform(ctx context.Context, h *host.Host, n Node, roles []api.RoleSpec, call ActionCall) error
}

// Skipped is the error of an action that has done nothing, since nothing was to be done.
type Skipped struct{ Reason string }

// Error gives the reason.
func (s *Skipped) Error() string { return s.Reason }
