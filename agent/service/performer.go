package service

import (
	"context"
	"io"

	"conpaas/agent/host"
	"conpaas/client/api"
)

// Performer is a Half with actions, which the catalogue lists.
type Performer interface {
	// Perform does an action of the type on this machine, whose roles are those that were last applied. It reads what the
	// action takes from in and writes what it gives to out, as it comes. It may be called while Apply and Status are, and
	// several times at once.
	Perform(ctx context.Context, h *host.Host, n Node, roles []api.RoleSpec, action string, in io.Reader, out io.Writer) error
}
