package generic

import (
	"context"
	"encoding/json"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/client/api"
)

// Status implements service.Half.
func (s *Half) Status(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec) []api.RoleStatus {
	if len(roles) == 0 {
		return nil // Apply has ended everything, or says why it could not
	}
	role, c, err := decode(roles, n)
	if err != nil {
		return []api.RoleStatus{{Role: role, State: api.RoleFailed, Reason: err.Error()}}
	}
	h.Logs().Bound(errLog)
	m := &machine{half: s, h: h, n: n, role: role, c: c}
	if m.rec, err = readRecord(h); err == nil && !c.Root && len(m.busy(api.GenericScripts()...)) > 0 {
		m.user, err = s.account(ctx, h)
	}
	if err == nil {
		err = m.look(ctx)
	}
	status := api.RoleStatus{Role: role, State: api.RoleReady, Facts: m.facts()}
	notify := m.rec.Scripts[api.GenericNotify]
	now := m.rec.Versions[c.Version]
	switch {
	case err != nil:
		status.State, status.Reason = api.RoleFailed, err.Error()
	case m.rec.Current != c.Version && now.Refused != "":
		status.State, status.Reason = api.RoleFailed, now.Refused
	case m.rec.Current != c.Version && !now.Unpacked:
		status.State, status.Reason = api.RoleStarting, "code version "+c.Version+" is unpacked"
	case m.rec.Current != c.Version && m.rec.Scripts[api.GenericInit].Running:
		status.State, status.Reason = api.RoleStarting, "init.sh of code version "+c.Version+" runs"
	case m.rec.Current != c.Version:
		status.State, status.Reason = api.RoleStarting, "code version "+c.Version+" waits for scripts that run"
	case notify.Running:
		status.State, status.Reason = api.RoleStarting, "notify.sh runs"
	case m.rec.Notified == "":
		status.State, status.Reason = api.RoleStarting, "it is to be told of the other machines"
	}
	return []api.RoleStatus{status}
}

func (m *machine) facts() api.RawJSON {
	f := api.GenericFacts{
		Checked: map[string]bool{}, Refused: map[string]string{}, Version: m.rec.Current, Scripts: map[string]api.GenericScript{},
		Command: m.rec.Command, Refusal: m.rec.Refusal,
	}
	for _, v := range m.c.Versions {
		switch now := m.rec.Versions[v.ID]; {
		case now.SHA256 != v.SHA256: // not looked at yet
		case now.Ready:
			f.Checked[v.ID] = true
		case now.Refused != "":
			f.Refused[v.ID] = now.Refused
		}
	}
	for _, name := range api.GenericScripts() {
		if m.has(m.rec.Current, name) {
			f.Has = append(f.Has, name)
		}
		if r, ran := m.rec.Scripts[name]; ran {
			f.Scripts[name] = api.GenericScript{Running: r.Running, Exit: r.Exit, Reason: r.Reason, Begun: r.Begun, Words: r.Words}
		}
	}
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // texts, times and numbers
	}
	return data
}
