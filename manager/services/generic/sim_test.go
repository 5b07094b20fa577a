package generic

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
	"conpaas/manager/service/servicetest"
)

// world is a service whose machines have scripts, with a director that keeps the rules of commands and code.
type world struct {
	servicetest.World[*box]
	number uint64
	broken map[string]bool // versions whose init fails
}

// box is one machine, and what really runs on it.
type box struct {
	servicetest.Machine
	runs *order // the newest that its agent works on

	facts    api.GenericFacts // on disk
	notified string           // members that the last notify was told of
	begun    map[uint64]int   // how often a command has begun or was refused
}

// order is one configuration.
type order struct{ config *api.GenericConfig }

func newWorld() *world {
	return &world{broken: map[string]bool{}, World: servicetest.World[*box]{
		Half: Half{},
		Make: func(m servicetest.Machine) *box {
			return &box{
				Machine: m, begun: map[uint64]int{},
				facts: api.GenericFacts{Checked: map[string]bool{}, Refused: map[string]string{}, Scripts: map[string]api.GenericScript{}},
			}
		},
		Words: func(c service.Config) string { return fmt.Sprintf("%+v", decode(c).config) },
		Roles: (*box).roles,
		Spec: api.ServiceSpec{
			ID: 1, Type: api.Generic, Name: "jobs", Nodes: map[api.Role]int{api.RoleMaster: 1},
			Code: &api.CodeSpec{Wanted: api.CodeDefault, Serving: api.CodeDefault, Versions: []api.CodeBlob{{ID: api.CodeDefault}}},
		},
		Machines: map[api.NodeID]*box{},
	}}
}

func (w *world) push() { w.Send(w.Think()) }

func decode(c service.Config) *order {
	o := &order{}
	for _, r := range c.Roles {
		o.config = &api.GenericConfig{}
		if err := json.Unmarshal(r.Config, o.config); err != nil {
			panic(err)
		}
	}
	return o
}

// take has an agent look at the next thing that it was sent.
func (w *world) take(b *box) {
	c, ok := b.Take()
	if !ok {
		return
	}
	b.runs, b.Busy = decode(c), true
	if b.runs.config == nil {
		b.facts.Scripts = map[string]api.GenericScript{}
		return
	}
	wanted := func(id string) bool {
		return slices.ContainsFunc(b.runs.config.Versions, func(v api.CodeBlob) bool { return v.ID == id })
	}
	maps.DeleteFunc(b.facts.Checked, func(id string, _ bool) bool { return !wanted(id) })
	maps.DeleteFunc(b.facts.Refused, func(id, _ string) bool { return !wanted(id) })
}

// work has an agent do one thing more of what it is to be.
func (w *world) work(b *box) {
	if b.Dead || !b.Busy {
		return
	}
	c := b.runs.config
	if c == nil {
		b.Busy = false
		return
	}
	busy := b.facts.Scripts[api.GenericRun].Running
	for _, v := range c.Versions {
		if !b.facts.Checked[v.ID] && b.facts.Refused[v.ID] == "" {
			switch {
			case busy:
			case w.broken[v.ID]:
				b.facts.Refused[v.ID] = "init.sh has failed"
			default:
				b.facts.Checked[v.ID] = true
			}
			return
		}
	}
	if b.facts.Version != c.Version && b.facts.Checked[c.Version] && !busy {
		b.facts.Version = c.Version
		if w.broken[c.Version] {
			w.Fail("%s uses %s, whose init fails", b.Info.ID, c.Version)
		}
		return
	}
	if told := fmt.Sprint(c.Version, c.Members); b.notified != told {
		b.notified = told
		return
	}
	if b.Busy = false; c.Command == nil || c.Command.Number <= b.facts.Command {
		return
	}
	b.facts.Command, b.facts.Refusal = c.Command.Number, ""
	b.begun[c.Command.Number]++
	switch {
	case c.Command.Name == api.GenericInterrupt:
		b.facts.Scripts[api.GenericRun] = api.GenericScript{}
	case busy:
		b.facts.Refusal = "run.sh runs"
	default:
		b.facts.Scripts[api.GenericRun] = api.GenericScript{Running: true}
	}
	w.Say("%s begins %s, number %d", b.Info.ID, c.Command.Name, c.Command.Number)
}

// roles is what an agent says.
func (b *box) roles() []api.RoleStatus {
	if b.runs == nil {
		return nil
	}
	s := api.RoleStatus{Role: b.Info.Role, State: api.RoleReady}
	if b.runs.config == nil {
		s.State = api.RoleDrained
	}
	b.facts.Has = nil
	if b.facts.Version != api.CodeDefault {
		b.facts.Has = []string{api.GenericRun}
	}
	s.Facts, _ = json.Marshal(b.facts)
	return []api.RoleStatus{s}
}
