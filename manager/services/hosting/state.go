package hosting

import (
	"fmt"
	"slices"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// judge sets the plan's State and Reason. Beyond that all machines are as planned, a service that is RUNNING uses all of
// them and no others, and requests get the wanted version or it is known why they do not.
func (f *fleet) judge(p *service.Plan) {
	var stay []service.Node
	for _, g := range []group{f.proxies, f.webs, f.servers} {
		for _, m := range g.stay {
			stay = append(stay, m.Node)
		}
	}
	p.Judge(f.in, stay)
	if p.State != api.StateRunning {
		return
	}
	if why := f.unfinished(p.Code); why != "" {
		p.State, p.Reason = api.StateAdapting, why
	}
}

// unfinished tells what is still to be done though every machine is as the plan wants it now.
func (f *fleet) unfinished(code *api.CodeStatus) string {
	for _, p := range f.proxies.stay {
		if why := f.incomplete(p, api.RoleWeb, f.webList[p.ID]); why != "" {
			return why
		}
	}
	webs, _ := f.crew(api.RoleWeb)
	for _, w := range webs {
		if why := f.incomplete(w, api.RoleBackend, f.upstream[w.ID]); why != "" {
			return why
		}
	}
	if code.Serving != f.code.Wanted && code.Refused == "" {
		return fmt.Sprintf("code %s is being checked", f.code.Wanted)
	}
	return ""
}

// incomplete tells which server a user does not use though it should, or the other way round.
func (f *fleet) incomplete(user *machine, r api.Role, uses []*machine) string {
	own, _ := f.crew(r)
	for _, m := range own {
		if slices.Contains(uses, m) {
			continue
		}
		for _, v := range f.need {
			if why, ok := m.part(r).facts.Refused[v]; ok {
				return fmt.Sprintf("%s is not used: it refuses code %s: %s", m.ID, v, why)
			}
		}
		return fmt.Sprintf("%s is not used yet", m.ID)
	}
	if len(uses) > len(own) {
		return fmt.Sprintf("%s uses %s beside those that stay", user.ID, uses[0].ID)
	}
	if m := f.first; m != nil && !f.packed(r) && m.runs(r) {
		return fmt.Sprintf("%s is to end role %s", m.ID, r)
	}
	return ""
}
