package generic

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// world is everything around the plans: a director that keeps the rules of commands and code, a manager that passes plans on, and
// machines with agents and scripts, each of which is as far behind as the test wants.
type world struct {
	spec     api.ServiceSpec
	machines map[api.NodeID]*box
	next     int
	number   uint64
	plan     service.Plan
	broken   map[string]bool // versions whose init fails
	pushes   int
	closed   []string // how commands have ended
	err      error
	said     []string
}

// box is one machine: what really runs on it, what was sent to it, and what the manager knows of it.
type box struct {
	info      api.NodeInfo
	dead      bool
	sent      []*order // accepted, in order, not applied yet
	runs      *order   // the newest that its agent works on
	done      bool     // it has applied that
	connected bool
	status    *api.NodeStatus
	applied   string
	doubt     bool
	sentLast  string

	facts    api.GenericFacts // on disk
	notified string           // members that the last notify was told of
	begun    map[uint64]int   // how often a command has begun or was refused
}

type order struct {
	digest string
	config *api.GenericConfig
}

func newWorld() *world {
	w := &world{machines: map[api.NodeID]*box{}, broken: map[string]bool{}}
	w.spec = api.ServiceSpec{ID: 1, Type: api.Generic, Name: "jobs", Nodes: map[api.Role]int{api.RoleMaster: 1}}
	w.spec.Code = &api.CodeSpec{Wanted: api.CodeDefault, Serving: api.CodeDefault, Versions: []api.CodeBlob{{ID: api.CodeDefault}}}
	return w
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *world) ids() []api.NodeID { return slices.SortedFunc(maps.Keys(w.machines), service.ByAge) }

func (w *world) living() (out []*box) {
	for _, id := range w.ids() {
		if b := w.machines[id]; !b.dead {
			out = append(out, b)
		}
	}
	return out
}

func (w *world) input() service.Input {
	in := service.Input{Spec: w.spec}
	for _, id := range w.ids() {
		b := w.machines[id]
		n := service.Node{NodeInfo: b.info, Connected: b.connected && b.status != nil, Status: b.status, Sent: b.sentLast, Current: b.status != nil && !b.doubt}
		n.Serving = n.Connected
		if !b.doubt {
			n.Applied = b.applied
		}
		in.Nodes = append(in.Nodes, n)
	}
	return in
}

// push makes the plan and sends what it wants to whoever is connected.
func (w *world) push() {
	in := w.input()
	w.plan = Half{}.Plan(in)
	if err := service.Check(in, w.plan); err != nil {
		w.fail("%v", err)
		return
	}
	for _, n := range in.Nodes {
		c, b := w.plan.Nodes[n.ID], w.machines[n.ID]
		o := &order{digest: service.Digest(in.NodeSpec(n, c))}
		for _, r := range c.Roles {
			o.config = &api.GenericConfig{}
			if err := json.Unmarshal(r.Config, o.config); err != nil {
				w.fail("%v", err)
			}
		}
		if !b.connected || b.dead || b.status == nil || b.last() == o.digest && (b.doubt || b.applied == o.digest) {
			continue
		}
		b.sent, b.sentLast, b.doubt = append(b.sent, o), o.digest, b.doubt || o.digest != b.applied
		w.pushes++
	}
}

func (b *box) last() string {
	switch {
	case len(b.sent) > 0:
		return b.sent[len(b.sent)-1].digest
	case b.runs != nil:
		return b.runs.digest
	}
	return ""
}

// take has an agent look at the next thing that it was sent.
func (w *world) take(b *box) {
	if b.dead || len(b.sent) == 0 {
		return
	}
	b.runs, b.sent, b.done = b.sent[0], b.sent[1:], false
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
	if b.dead || b.runs == nil || b.done {
		return
	}
	c := b.runs.config
	if c == nil {
		b.done = true
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
			w.fail("%s uses %s, whose init fails", b.info.ID, c.Version)
		}
		return
	}
	if told := fmt.Sprint(c.Version, c.Members); b.notified != told {
		b.notified = told
		return
	}
	if b.done = true; c.Command == nil || c.Command.Number <= b.facts.Command {
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
	w.say("%s begins %s, number %d", b.info.ID, c.Command.Name, c.Command.Number)
}

// report brings what an agent says to the manager.
func (w *world) report(b *box) {
	if b.dead || !b.connected {
		return
	}
	b.status, b.applied, b.doubt = &api.NodeStatus{Node: b.info.ID}, "", len(b.sent) > 0 || b.runs != nil && !b.done
	if b.runs == nil {
		return
	}
	if b.done {
		b.applied = b.runs.digest
	}
	s := api.RoleStatus{Role: b.info.Role, State: api.RoleReady}
	if b.runs.config == nil {
		s.State = api.RoleDrained
	}
	b.facts.Has = nil
	if b.facts.Version != api.CodeDefault {
		b.facts.Has = []string{api.GenericRun}
	}
	s.Facts, _ = json.Marshal(b.facts)
	b.status.Roles = []api.RoleStatus{s}
}

func (w *world) boot(b *box) {
	if b.info.Key == "" && !b.dead {
		b.info.Key, b.info.State = "key", api.NodeJoined
	}
}

func (w *world) connect(b *box) {
	if !b.dead && b.info.Key != "" && !b.connected {
		b.connected = true
		w.report(b)
	}
}

func (w *world) add(r api.Role) {
	w.next++
	id := api.NodeID(fmt.Sprintf("n%d", w.next))
	w.machines[id] = &box{
		info:  api.NodeInfo{ID: id, Service: 1, Role: r, State: api.NodeBooting, Overlay: netip.AddrFrom4([4]byte{10, 0, byte(w.next >> 8), byte(w.next)})},
		begun: map[uint64]int{}, facts: api.GenericFacts{Checked: map[string]bool{}, Refused: map[string]string{}, Scripts: map[string]api.GenericScript{}},
	}
	w.say("%s is made for role %s", id, r)
}
