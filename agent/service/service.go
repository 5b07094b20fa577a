// Package service says what the agent half of a service type is: the code that makes one machine do what the
// manager half of the same type has written into its role configuration.
//
// It knows no service type, nothing of HTTP, specs on disk or the overlay. A half acts on the machine only
// through agent/host.
package service

import (
	"context"
	"net/netip"

	"conpaas/agent/host"
	"conpaas/client/api"
)

// Node is what a half is told of its machine.
type Node struct {
	ID      api.NodeID
	Service string     // name of the service, for texts
	Address netip.Addr // where roles listen: the overlay address, or the machine's own where Active is false
	Active  bool       // whether the machine has a network of its own

	Volumes []api.VolumeMount // that are mounted; Path is as programs see it, see VolumePath
}

// Half is the agent half of a service type. Its methods are called by one goroutine, and its state is what
// runs on the machine: a new Half made after an agent restart goes on where the old one was.
type Half interface {
	// Apply makes the machine run exactly these roles, and ends what else of the service runs there. It is
	// idempotent: a second call with the same roles disturbs nothing. It starts things and does not wait
	// until they serve. The errors are per role; a role without one was applied. It is called again for
	// errors, with a growing delay. A role that cannot be applied yet, its blobs missing for example, goes on
	// as it is and has a *Waiting.
	Apply(ctx context.Context, h *host.Host, n Node, roles []api.RoleSpec) map[api.Role]error

	// Status looks at the roles that were last applied: each of them as starting, ready, drained or failed, and roles of
	// the type that are not among them as drained once they are gone. It takes at most a few seconds.
	Status(ctx context.Context, h *host.Host, n Node, roles []api.RoleSpec) []api.RoleStatus

	// Stop ends everything of the service on the machine. Calling it twice is no error.
	Stop(ctx context.Context, h *host.Host) error
}
