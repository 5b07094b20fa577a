package generic

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// machine is one machine of the service with what its agent says of it.
type machine struct {
	service.Node
	facts api.GenericFacts
}

// known tells whether the others are told of a machine: it has taken a version, now or when the director took it for ready.
func (m *machine) known() bool {
	return m.Joined() && (m.facts.Version != "" || m.State == api.NodeReady || m.State == api.NodeUnreachable)
}

// fleet is all machines of the service, and what the plan makes of them.
type fleet struct {
	in    service.Input
	stay  []*machine // the master first, the others by age
	leave []service.Node

	code    api.CodeSpec // with all members set
	begun   bool         // a machine uses the wanted version already
	refused string       // why a machine refuses the wanted version, "" when none does
	version string       // the one to be used now
}

func newFleet(in service.Input) *fleet {
	f := &fleet{in: in, code: complete(in.Spec.Code)}
	for _, role := range []api.Role{api.RoleMaster, api.RoleNode} {
		stay, leave := service.Select(in.Nodes, role, in.Spec.Nodes[role])
		for _, n := range stay {
			f.stay = append(f.stay, newMachine(n))
		}
		f.leave = append(f.leave, leave...)
	}
	f.chooseVersion()
	return f
}

func newMachine(n service.Node) *machine {
	m := &machine{Node: n}
	if s, ok := n.RoleStatus(n.Role); ok && json.Unmarshal(s.Facts, &m.facts) != nil {
		m.facts = api.GenericFacts{} // none, or not those of this type: nothing is known
	}
	return m
}

// complete gives the code of a service with nothing left open: without a word of it there is the version without scripts.
func complete(c *api.CodeSpec) (out api.CodeSpec) {
	if c != nil {
		out = *c
	}
	out.Wanted = cmp.Or(out.Wanted, out.Serving, api.CodeDefault)
	out.Serving = cmp.Or(out.Serving, out.Wanted)
	out.Versions = slices.SortedFunc(slices.Values(out.Versions), func(a, b api.CodeBlob) int { return cmp.Compare(a.ID, b.ID) })
	known := func(v api.CodeBlob) bool { return v.ID == api.CodeDefault }
	if (out.Wanted == api.CodeDefault || out.Serving == api.CodeDefault) && !slices.ContainsFunc(out.Versions, known) {
		out.Versions = append(out.Versions, api.CodeBlob{ID: api.CodeDefault})
	}
	return out
}

// chooseVersion decides which version the machines are to use.
func (f *fleet) chooseVersion() {
	wanted := f.code.Wanted
	f.begun = slices.ContainsFunc(f.stay, func(m *machine) bool { return m.facts.Version == wanted })
	agreed, some := true, false
	for _, m := range f.stay {
		if !m.Joined() {
			continue
		}
		some = true
		if why, ok := m.facts.Refused[wanted]; ok && m.Connected && f.refused == "" {
			f.refused = fmt.Sprintf("%s: %s", m.ID, cmp.Or(why, "no reason given"))
		}
		agreed = agreed && m.facts.Checked[wanted]
	}
	f.version = f.code.Serving
	if f.begun || f.refused == "" && agreed && some {
		f.version = wanted
	}
}

// codeStatus is what the director is told of the code.
func (f *fleet) codeStatus() *api.CodeStatus {
	s := &api.CodeStatus{}
	joined := slices.DeleteFunc(slices.Clone(f.stay), func(m *machine) bool { return !m.Joined() })
	if len(joined) > 0 && !slices.ContainsFunc(joined, func(m *machine) bool { return m.facts.Version != joined[0].facts.Version }) {
		s.Serving = joined[0].facts.Version
	}
	if f.refused != "" && !f.begun && f.code.Wanted != f.code.Serving {
		s.Refused, s.Reason = f.code.Wanted, f.refused
	}
	return s
}

// commandStatus is what the director is told of commands and scripts.
func (f *fleet) commandStatus() *api.CommandStatus {
	s := &api.CommandStatus{}
	for _, m := range f.everyone() {
		for _, name := range api.GenericScripts() {
			if m.facts.Scripts[name].Running {
				s.Running = append(s.Running, api.RunningProgram{Node: m.ID, Name: name + ".sh"})
			}
		}
	}
	for _, m := range f.stay {
		if m.facts.Version != "" && !slices.Contains(m.facts.Has, api.GenericRun) && len(s.Lacks) == 0 {
			s.Lacks = []string{api.GenericRun}
		}
	}
	f.answer(s)
	return s
}

// everyone is all machines, those that go as well.
func (f *fleet) everyone() []*machine {
	all := slices.Clone(f.stay)
	for _, n := range f.leave {
		all = append(all, newMachine(n))
	}
	return all
}

// answer tells whether every machine that the command is for, and that stays, has begun or refused it.
func (f *fleet) answer(s *api.CommandStatus) {
	command := f.in.Spec.Command
	if command == nil {
		return
	}
	found := false
	for _, m := range f.stay {
		if !slices.Contains(command.Nodes, m.ID) {
			continue
		}
		found = true
		if m.facts.Command < command.Number {
			return
		}
		if m.facts.Command == command.Number && m.facts.Refusal != "" && s.Refused == "" {
			s.Refused = fmt.Sprintf("%s: %s", m.ID, m.facts.Refusal)
		}
	}
	if !found {
		s.Refused = "none of the machines that it was for is there any more"
	}
	s.Number = command.Number
}

func (f *fleet) timeout() int {
	seconds, _ := strconv.Atoi(f.in.Setting("script_timeout")) // the director lets numbers through alone
	return seconds
}
