package service

import (
	"cmp"
	"slices"
	"strconv"

	"conpaas/client/api"
)

// Node is one machine as a plan sees it.
type Node struct {
	api.NodeInfo
	Connected bool            // its agent is connected to this manager now
	Status    *api.NodeStatus // what the agent has said last; nil until it has reported
	Applied   string          // Digest of the NodeSpec that the node is known to have applied; "" while unknown
	Sent      string          // Digest of the NodeSpec that it was sent last; "" while unknown
	Current   bool            // nothing that it was sent waits to be applied: Status tells what it does until it is sent more
	Serving   bool            // it was seen to do its work, and has not been silent for long since
}

// Draining tells whether the director has recorded that this machine goes. That is never taken back: a plan
// that wants more machines again gets new ones.
func (n Node) Draining() bool { return n.State == api.NodeDraining }

// Joined tells whether the machine has joined; one that has not never had work.
func (n Node) Joined() bool { return n.Key != "" }

// RoleStatus gives what the node's agent says of a role.
func (n Node) RoleStatus(r api.Role) (api.RoleStatus, bool) {
	if n.Status == nil {
		return api.RoleStatus{}, false
	}
	i := slices.IndexFunc(n.Status.Roles, func(s api.RoleStatus) bool { return s.Role == r })
	if i < 0 {
		return api.RoleStatus{}, false
	}
	return n.Status.Roles[i], true
}

// Trouble gives the first error that the node reports, "" when there is none.
func (n Node) Trouble() string {
	if n.Status == nil {
		return ""
	}
	for _, r := range n.Status.Roles {
		if r.State == api.RoleFailed {
			return "role " + string(r.Role) + ": " + r.Reason
		}
	}
	return n.Status.Error
}

// ByAge orders node ids from the oldest to the newest: by their number, so that n9 comes before n10.
func ByAge(a, b api.NodeID) int {
	return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b))
}

// number gives the number at the end of an id, 0 where there is none.
func number(id api.NodeID) uint64 {
	i := len(id)
	for i > 0 && '0' <= id[i-1] && id[i-1] <= '9' {
		i--
	}
	n, _ := strconv.ParseUint(string(id[i:]), 10, 64) // of something else than digits: 0
	return n
}
