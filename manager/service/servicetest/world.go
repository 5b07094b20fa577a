// Package servicetest lets the plans of a service type meet whatever may happen to its machines, in any order.
//
// It has what all types share: a manager that passes on what is planned, and machines with agents, each of which is as far behind
// as the test wants. What an agent makes of its configuration, what it says of its roles and which rules must hold is the type's.
package servicetest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// World is everything around the plans of one service, whose machines are of the kind B.
type World[B Box] struct {
	Half  service.Half
	Make  func(Machine) B             // gives a machine that is new
	Words func(service.Config) string // a configuration as Said has it
	Roles func(B) []api.RoleStatus    // what the agent of a machine says now
	Spec  api.ServiceSpec             // what the user wants now

	Machines map[api.NodeID]B
	Plan     service.Plan // the last one
	Pushes   int          // how many configurations were sent
	Err      error        // the first thing that was wrong
	Said     []string     // what has happened

	next int
}

// Fail notes that something is wrong.
func (w *World[B]) Fail(format string, args ...any) {
	if w.Err == nil {
		w.Err = fmt.Errorf(format, args...)
	}
}

// Say notes what happens.
func (w *World[B]) Say(format string, args ...any) {
	w.Said = append(w.Said, fmt.Sprintf(format, args...))
}

// IDs are those of the machines, oldest first.
func (w *World[B]) IDs() []api.NodeID { return slices.SortedFunc(maps.Keys(w.Machines), service.ByAge) }

// Living are the machines that are not dead, oldest first.
func (w *World[B]) Living() (out []B) {
	for _, id := range w.IDs() {
		if b := w.Machines[id]; !b.frame().Dead {
			out = append(out, b)
		}
	}
	return out
}

// Input is what the manager knows.
func (w *World[B]) Input() service.Input {
	in := service.Input{Spec: w.Spec}
	for _, id := range w.IDs() {
		in.Nodes = append(in.Nodes, w.Machines[id].frame().node())
	}
	return in
}

// Think makes the plan, and looks whether it is one.
func (w *World[B]) Think() service.Input {
	in := w.Input()
	w.Plan = w.Half.Plan(in)
	if err := service.Check(in, w.Plan); err != nil {
		w.Fail("%v", err)
	}
	return in
}

// Send sends what the plan of this input wants to whoever is connected and need not wait for others.
func (w *World[B]) Send(in service.Input) {
	if w.Err != nil { // nothing of a wrong plan is sent
		return
	}
	nodes := map[api.NodeID]service.Node{}
	for _, n := range in.Nodes {
		nodes[n.ID] = n
	}
	for _, n := range in.Nodes {
		c, m := w.Plan.Nodes[n.ID], w.Machines[n.ID].frame()
		digest := service.Digest(in.NodeSpec(n, c))
		held := slices.ContainsFunc(c.After, func(id api.NodeID) bool { return !in.Ready(nodes[id], w.Plan.Nodes[id]) })
		if !m.Connected || m.Dead || held || m.last() == digest && (m.Doubt || m.applied == digest) {
			continue
		}
		w.Say("send %s: %s", n.ID, w.Words(c))
		m.Sent, m.told = append(m.Sent, Order{digest, c}), digest
		m.Doubt = m.Doubt || digest != m.applied
		w.Pushes++
	}
}

// Report brings what an agent says to the manager.
func (w *World[B]) Report(b B) {
	m := b.frame()
	if m.Dead || !m.Connected {
		return
	}
	m.Status, m.applied, m.Doubt = &api.NodeStatus{Node: m.Info.ID, Roles: w.Roles(b)}, "", len(m.Sent) > 0 || m.Busy
	m.Serving = slices.ContainsFunc(m.Status.Roles, func(r api.RoleStatus) bool { return r.State == api.RoleReady })
	if !m.Busy {
		m.applied = m.has
	}
}

// Restart replaces the manager by one that knows nothing but what the director tells it, not even what is under way.
func (w *World[B]) Restart() {
	for _, b := range w.Machines {
		m := b.frame()
		m.Connected, m.Status, m.applied, m.told, m.Doubt = false, nil, "", "", false
		m.Serving = m.Info.State == api.NodeReady
	}
	w.Say("another manager begins")
}

// Add makes a machine.
func (w *World[B]) Add(r api.Role) B {
	w.next++
	id := api.NodeID(fmt.Sprintf("n%d", w.next))
	overlay := netip.AddrFrom4([4]byte{10, 0, byte(w.next >> 8), byte(w.next)})
	w.Machines[id] = w.Make(Machine{Info: api.NodeInfo{ID: id, Service: w.Spec.ID, Role: r, State: api.NodeBooting, Overlay: overlay}})
	w.Say("%s is made for role %s", id, r)
	return w.Machines[id]
}

// Boot lets a machine join.
func (w *World[B]) Boot(b B) {
	if m := b.frame(); m.Info.Key == "" && !m.Dead {
		m.Info.Key, m.Info.State = "key", api.NodeJoined
		w.Say("%s has joined", m.Info.ID)
	}
}

// Connect lets an agent find its manager.
func (w *World[B]) Connect(b B) {
	if m := b.frame(); !m.Dead && m.Info.Key != "" && !m.Connected {
		m.Connected = true
		w.Report(b)
	}
}

// Lose ends a machine before its time.
func (w *World[B]) Lose(b B) {
	m := b.frame()
	m.Dead, m.Connected = true, false
	w.Say("%s dies", m.Info.ID)
}

// GiveUp has the director find out that a machine is dead.
func (w *World[B]) GiveUp(b B) {
	if m := b.frame(); m.Dead {
		w.Say("%s is given up", m.Info.ID)
		delete(w.Machines, m.Info.ID)
	}
}

// Direct has the director do what is planned with machines; those of the first role are made first.
func (w *World[B]) Direct(roles ...api.Role) {
	have := map[api.Role]int{}
	for _, id := range w.IDs() {
		m := w.Machines[id].frame()
		if slices.Contains(w.Plan.Delete, id) {
			w.Say("%s is removed", id)
			delete(w.Machines, id)
			continue
		}
		if slices.Contains(w.Plan.Drain, id) {
			m.Info.State = api.NodeDraining
		}
		if m.Info.State != api.NodeDraining {
			have[m.Info.Role]++
		}
	}
	for _, r := range roles {
		for range w.Plan.Wanted[r] - have[r] {
			w.Add(r)
		}
	}
	w.Plan.Delete, w.Plan.Drain, w.Plan.Wanted = nil, nil, nil // it is done
}
