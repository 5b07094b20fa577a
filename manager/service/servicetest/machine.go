package servicetest

import (
	"conpaas/client/api"
	"conpaas/manager/service"
)

// Box is a machine of a type's own kind: a pointer to a struct that embeds Machine.
type Box interface{ frame() *Machine }

// Machine is one machine: what its agent was sent, and what the manager knows of it.
type Machine struct {
	Info api.NodeInfo
	Dead bool
	Sent []Order // accepted, in order, not taken yet
	Busy bool    // its agent has taken a configuration and does not say yet that it has applied it

	Connected bool
	Status    *api.NodeStatus // what it has said last
	Serving   bool            // it was seen to do its work
	Doubt     bool            // something was sent to it that it may not have applied

	has     string // digest of what it has taken last
	told    string // digest of what this manager has sent it last
	applied string // digest of what it has said that it has applied
}

// Order is one configuration on its way to a machine.
type Order struct {
	digest string
	Config service.Config
}

func (m *Machine) frame() *Machine { return m }

// Take gives an agent the next thing that it was sent, if there is any.
func (m *Machine) Take() (c service.Config, ok bool) {
	if m.Dead || len(m.Sent) == 0 {
		return c, false
	}
	c, m.has, m.Sent = m.Sent[0].Config, m.Sent[0].digest, m.Sent[1:]
	return c, true
}

func (m *Machine) last() string {
	if len(m.Sent) > 0 {
		return m.Sent[len(m.Sent)-1].digest
	}
	return m.has
}

func (m *Machine) node() service.Node {
	n := service.Node{NodeInfo: m.Info, Connected: m.Connected, Status: m.Status, Serving: m.Serving, Sent: m.told, Current: m.Status != nil && !m.Doubt}
	if !m.Doubt {
		n.Applied = m.applied
	}
	return n
}
