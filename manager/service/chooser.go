package service

import "conpaas/client/api"

// Chooser is a Half whose type has actions.
type Chooser interface {
	// Choose gives the machine of the input that is to do an action now. It is pure, as Plan is. An error is an
	// *api.Error that the caller may see: api.CodeUnavailable where no machine can now, api.CodeNotFound for an action that the type
	// does not have.
	Choose(in Input, action string) (api.NodeID, error)
}
