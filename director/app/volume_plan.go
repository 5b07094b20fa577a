package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// volumeStep is what is done with a volume: an event of its life, or another machine that is to have it, or a new one.
type volumeStep struct {
	id     api.VolumeID
	event  life.VolumeEvent // "": assign
	change store.VolumeChange

	node    api.NodeID // assign: that is to have it
	service api.ServiceID
	role    api.Role

	create *store.NewVolume // without id
}

// volumePlan decides what is done with the volumes of an application. It is pure.
type volumePlan struct {
	s     *snapshot
	kind  func(api.ServiceType, api.Role) *api.VolumeKind // that every machine of a role has; nil: none
	keeps func(store.Volume) bool                         // whether the holder may have it mounted
	steps []volumeStep

	given map[api.VolumeID]bool // to a machine, in these steps
}

// volumeSteps gives the next steps of all volumes. A volume that a dead or a stopped machine had waits for the next machine of its
// service and role; one of a service that needs no more machines, or is removed, becomes an orphan as soon as no machine has it.
func volumeSteps(s *snapshot, kind func(api.ServiceType, api.Role) *api.VolumeKind, keeps func(store.Volume) bool) []volumeStep {
	p := &volumePlan{s: s, kind: kind, keeps: keeps, given: map[api.VolumeID]bool{}}
	for _, v := range s.volumes {
		if v.Node != "" && !p.acts(v.Node) {
			p.release(v)
		}
	}
	if len(p.steps) > 0 {
		return p.steps // what is free now is given to a machine before another is made for it
	}
	for _, v := range s.volumes {
		p.forgotten(v)
	}
	p.supply()
	for _, v := range s.volumes {
		if !p.given[v.ID] {
			p.move(v)
		}
	}
	return p.steps
}

func (p *volumePlan) step(v store.Volume, event life.VolumeEvent, c store.VolumeChange) {
	p.steps = append(p.steps, volumeStep{id: v.ID, event: event, change: c})
}

// assign says which node is to have a volume; its service and role stay.
func (p *volumePlan) assign(v store.Volume, node api.NodeID) {
	p.given[v.ID] = true
	p.steps = append(p.steps, volumeStep{id: v.ID, node: node, service: v.Service, role: v.Role})
}

// release takes a volume from a machine that is going or gone. That of one that was removed since there are enough others is of no role any
// more: a service that is stopped before the volume is an orphan would be given old data when it is started.
func (p *volumePlan) release(v store.Volume) {
	if service, ok := p.service(v.Service); ok && v.Automatic && p.full(service, v.Role) {
		v.Role = ""
	}
	p.assign(v, "")
}

func (p *volumePlan) node(id api.NodeID) (store.Node, bool) {
	i := slices.IndexFunc(p.s.nodes, func(n store.Node) bool { return n.ID == id })
	if i < 0 {
		return store.Node{}, false
	}
	return p.s.nodes[i], true
}

func (p *volumePlan) acts(id api.NodeID) bool {
	n, ok := p.node(id)
	return ok && acts(n)
}

func (p *volumePlan) service(id api.ServiceID) (store.Service, bool) {
	i := slices.IndexFunc(p.s.services, func(v store.Service) bool { return v.ID == id && v.Wanted != store.ServiceRemoved })
	if i < 0 {
		return store.Service{}, false
	}
	return p.s.services[i], true
}

// forgotten makes an orphan of what nothing needs any more. What users have made stays with the application.
func (p *volumePlan) forgotten(v store.Volume) {
	if p.given[v.ID] || v.Node != "" || v.State == api.VolumeDeleting {
		return
	}
	service, serves := p.service(v.Service)
	var origin string
	switch {
	case p.s.application.Wanted == store.ApplicationDeleted:
		origin = fmt.Sprintf("application %s", p.s.application.Name)
	case v.Automatic && !serves:
		origin = fmt.Sprintf("a removed service of application %s", p.s.application.Name)
	case v.Automatic && (v.Role == "" || p.full(service, v.Role)):
		origin = fmt.Sprintf("a removed machine of service %s of application %s", service.Name, p.s.application.Name)
	case !v.Automatic && v.Service != 0 && !serves: // it has no next machine
		p.given[v.ID] = true
		p.steps = append(p.steps, volumeStep{id: v.ID})
		return
	default:
		return
	}
	switch v.State {
	case api.VolumeWanted: // there is nothing on it
		p.given[v.ID] = true
		p.step(v, life.VolumeDelete, store.VolumeChange{Reason: v.Reason})
	case api.VolumeAvailable:
		p.given[v.ID] = true
		p.step(v, life.VolumeAbandon, store.VolumeChange{Origin: origin})
	}
}

// full tells whether a service has all the machines of a role that it is to have, each with its volume.
func (p *volumePlan) full(service store.Service, role api.Role) bool {
	if service.Wanted != store.ServiceStarted || p.s.application.Wanted != store.ApplicationRunning {
		return false
	}
	have := 0
	for _, n := range p.machines(service.ID, role) {
		if !p.has(n, func(v store.Volume) bool { return v.Automatic }) {
			return false
		}
		have++
	}
	return have >= service.Nodes[role]
}

// machines gives the machines of a role that go on.
func (p *volumePlan) machines(service api.ServiceID, role api.Role) (nodes []store.Node) {
	for _, n := range p.s.nodes {
		if n.Service == service && n.Role == role && acts(n) && n.State != api.NodeDraining {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// has tells whether a node has, or is given, such a volume.
func (p *volumePlan) has(n store.Node, such func(store.Volume) bool) bool {
	return slices.ContainsFunc(p.s.volumes, func(v store.Volume) bool {
		if !such(v) {
			return false
		}
		return v.Node == n.ID || slices.ContainsFunc(p.steps, func(s volumeStep) bool { return s.id == v.ID && s.event == "" && s.node == n.ID })
	})
}

// supply gives machines the volumes that they are to have: those of lost machines first, then new ones.
func (p *volumePlan) supply() {
	if p.s.application.Wanted != store.ApplicationRunning {
		return
	}
	for _, service := range p.s.services {
		if service.Wanted != store.ServiceStarted {
			continue
		}
		for _, n := range nodesOf(p.s.nodes, service.ID) {
			if !acts(n) || n.State == api.NodeDraining {
				continue
			}
			if kind := p.kind(service.Type, n.Role); kind != nil {
				p.supplyOne(service, n, *kind)
			}
			for _, v := range p.s.volumes {
				if !v.Automatic && p.waits(v, n) && number(n.ID) > v.After && !p.has(n, func(other store.Volume) bool { return other.Mount == v.Mount }) {
					p.assign(v, n.ID)
				}
			}
		}
	}
}

// supplyOne gives a machine the volume that all of its role have.
func (p *volumePlan) supplyOne(service store.Service, n store.Node, kind api.VolumeKind) {
	if p.has(n, func(v store.Volume) bool { return v.Automatic && v.Mount == kind.Name }) {
		return
	}
	free := slices.Clone(p.s.volumes)
	slices.SortStableFunc(free, func(a, b store.Volume) int { return b.Since.Compare(a.Since) }) // the newest data first, where there are more than are needed
	for _, v := range free {
		if v.Automatic && v.Mount == kind.Name && p.waits(v, n) {
			p.assign(v, n.ID)
			return
		}
	}
	size := kind.SizeMiB
	if asked, err := strconv.Atoi(service.Settings[api.VolumeSize]); err == nil {
		size = asked
	}
	p.steps = append(p.steps, volumeStep{create: &store.NewVolume{
		Application: service.Application, Service: service.ID, Role: n.Role, Automatic: true, Mount: kind.Name, Cloud: n.Cloud, SizeMiB: size, Node: n.ID,
	}})
}

// waits tells whether a volume waits for a machine like this one.
func (p *volumePlan) waits(v store.Volume, n store.Node) bool {
	return v.Node == "" && v.State != api.VolumeDeleting && !p.given[v.ID] && v.Service == n.Service && v.Role == n.Role && v.Cloud == n.Cloud
}

// number gives the number of a node.
func number(id api.NodeID) int64 {
	n, _ := strconv.ParseInt(strings.TrimPrefix(string(id), "n"), 10, 64) // the store has made it
	return n
}

// move takes a volume one step towards the machine that is to have it.
func (p *volumePlan) move(v store.Volume) {
	switch v.State {
	case api.VolumeWanted:
		if v.Reason != "" && !v.Automatic { // its cloud has refused it, and whoever asked for it is told
			p.step(v, life.VolumeDelete, store.VolumeChange{Reason: v.Reason})
			return
		}
		p.step(v, life.VolumeCreate, store.VolumeChange{Reason: v.Reason})
	case api.VolumeAvailable:
		if n, ok := p.node(v.Node); ok && acts(n) && n.Machine != "" {
			p.step(v, life.VolumeAttach, store.VolumeChange{Machine: n.Machine})
		}
	case api.VolumeAttaching, api.VolumeAttached:
		if v.Node != v.Holder {
			p.step(v, life.VolumeDetach, store.VolumeChange{})
		}
	case api.VolumeDetaching:
		if v.Node == v.Holder {
			p.step(v, life.VolumeAttach, store.VolumeChange{Machine: v.Machine})
		}
	}
}

// mayDetach tells whether a volume can be taken from its holder: from a machine that runs when its agent has let go of it, from one
// that ends only when it has ended, since its programs may write until then.
func (p *volumePlan) mayDetach(v store.Volume) bool {
	n, ok := p.node(v.Holder)
	switch {
	case !ok:
		return true
	case !acts(n):
		return false
	}
	return !p.keeps(v)
}
