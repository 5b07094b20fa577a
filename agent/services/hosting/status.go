package hosting

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

// Status implements service.Half.
func (s *Half) Status(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec) []api.RoleStatus {
	broken := map[api.Role]error{}
	want := s.decodeAll(roles, n, func(r api.Role, err error) { broken[r] = err })
	p, err := s.site(h)
	if err != nil {
		for _, r := range roles {
			broken[r.Role] = err
		}
	}
	s.boundLogs(p)
	all := []api.RoleStatus{s.proxyStatus(ctx, p, n, want), s.webStatus(ctx, p, want), s.backendStatus(ctx, p, want)}
	for i, r := range all {
		if err := broken[r.Role]; err != nil {
			all[i].State, all[i].Reason = api.RoleFailed, err.Error()
		}
	}
	return all
}

// roleStatus judges a role by its programs.
func (s *Half) roleStatus(p Site, role api.Role, is bool, facts api.HostingFacts, programs ...Program) api.RoleStatus {
	status := api.RoleStatus{Role: role, State: api.RoleReady, Facts: encode(facts)}
	if !is {
		status.State = api.RoleDrained
	}
	h := p.Host
	for _, one := range programs {
		state, known := h.Service().State(one.Name)
		if state.PID != 0 {
			status.PIDs = append(status.PIDs, state.PID)
		}
		switch {
		case !is && state.PID != 0:
			status.State, status.Reason = api.RoleStarting, one.Name+" finishes its last requests"
		case !is || status.State == api.RoleFailed:
		case !known:
			status.State, status.Reason = api.RoleStarting, one.Name+" has not been started yet"
		case state.PID == 0:
			status.State, status.Reason = api.RoleFailed, fmt.Sprintf("%s does not run: %s%s", one.Name, state.Error, h.Logs().LastWords(one.log()))
		case one.Trouble == nil:
		case one.settling(p, state):
			status.State, status.Reason = api.RoleStarting, one.Trouble.Error()
		default:
			status.State, status.Reason = api.RoleFailed, one.Trouble.Error()+h.Logs().LastWords(one.log())
		}
	}
	return status
}

// settling tells whether a program was started or told to take over a configuration a short while ago.
func (o Program) settling(p Site, state host.ProgramState) bool {
	if p.Restarting(o.Name, cmp.Or(o.Reload, settleTime)) {
		return true
	}
	return state.Restarts == 0 && time.Since(state.Since) < cmp.Or(o.Start, settleTime)
}

func (o Program) log() string { return cmp.Or(o.Log, o.Name) }

func (s *Half) proxyStatus(ctx context.Context, p Site, n service.Node, want wanted) api.RoleStatus {
	if want.proxy == nil {
		return s.roleStatus(p, api.RoleProxy, false, api.HostingFacts{}, Program{Name: haproxy.Name}, Program{Name: redis})
	}
	c := *want.proxy
	facts := api.HostingFacts{Servers: sorted(p.Loaded(haproxy.Name).Servers)}
	trouble := func() error {
		_, mark, err := renderHAProxy(p, n, c)
		if err != nil {
			return err
		}
		if facts.Version, err = servingVersion(ctx, p); err != nil {
			return err
		}
		now, err := proxy(p).Mark(ctx)
		if err != nil {
			return err
		}
		if now != mark {
			return fmt.Errorf("haproxy has not taken over its configuration yet")
		}
		if facts.Version != c.Version {
			return fmt.Errorf("haproxy serves version %s, and %s is wanted", facts.Version, c.Version)
		}
		return nil
	}()
	programs := []Program{{Name: haproxy.Name, Trouble: trouble}}
	if c.Sessions != nil {
		programs = append(programs, Program{Name: redis, Trouble: askRedis(ctx, *c.Sessions)})
	}
	return s.roleStatus(p, api.RoleProxy, true, facts, programs...)
}

func (s *Half) webStatus(ctx context.Context, p Site, want wanted) api.RoleStatus {
	if want.web == nil {
		return s.roleStatus(p, api.RoleWeb, false, api.HostingFacts{}, Program{Name: nginx})
	}
	c := *want.web
	facts := api.HostingFacts{Servers: sorted(p.Loaded(nginx).Servers)}
	facts.Checked, facts.Refused = judge(p, c.Versions, false)
	trouble := func() error {
		versions, err := Usable(p)
		if err != nil {
			return err
		}
		_, mark, err := s.renderWeb(p, c, versions)
		if err != nil {
			return err
		}
		now, err := web(c).Mark(ctx, p)
		if err != nil {
			return err
		}
		if now != mark {
			return fmt.Errorf("nginx has not taken over its configuration yet")
		}
		return nil
	}()
	if trouble != nil {
		facts.Checked = nil // what it would say to a request of a version is not sure
	}
	return s.roleStatus(p, api.RoleWeb, true, facts, Program{Name: nginx, Trouble: trouble})
}

func (s *Half) backendStatus(ctx context.Context, p Site, want wanted) api.RoleStatus {
	health := s.kind.Runner.Health(ctx, p, want.backend)
	if want.backend == nil {
		return s.roleStatus(p, api.RoleBackend, false, api.HostingFacts{}, health.Programs...)
	}
	facts := api.HostingFacts{Active: health.Active}
	facts.Checked, facts.Refused = judge(p, want.backend.Versions, true)
	for _, id := range health.Lacks {
		delete(facts.Checked, id)
	}
	facts.Host = HostName()
	if want.backend.Drain {
		return s.drained(p, facts, health)
	}
	s.quiet = time.Time{}
	return s.roleStatus(p, api.RoleBackend, true, facts, health.Programs...)
}

// drained judges a backend that is to go: it is drained once nothing has been in flight for a while. It goes on running, in case that
// a server has not heard yet.
func (s *Half) drained(p Site, facts api.HostingFacts, health Health) api.RoleStatus {
	status := api.RoleStatus{Role: api.RoleBackend, State: api.RoleDrained, Facts: encode(facts)}
	for _, one := range health.Programs {
		if state, _ := p.Host.Service().State(one.Name); state.PID != 0 {
			status.PIDs = append(status.PIDs, state.PID)
		}
	}
	if len(status.PIDs) == 0 {
		return status
	}
	if health.Unknown != nil || facts.Active > 0 {
		s.quiet = time.Time{}
	} else if s.quiet.IsZero() {
		s.quiet = time.Now()
	}
	switch {
	case health.Unknown != nil:
		status.State, status.Reason = api.RoleStarting, health.Unknown.Error()
	case facts.Active > 0:
		status.State, status.Reason = api.RoleStarting, fmt.Sprintf("%d requests are in flight", facts.Active)
	case time.Since(s.quiet) < quietTime:
		status.State, status.Reason = api.RoleStarting, "late requests may still come"
	}
	return status
}

// HostName gives the name of the machine, by which its locks of sessions are known; "" where it is no plain word.
func HostName() string {
	name, err := os.Hostname()
	if err != nil || !hostName.MatchString(name) {
		return ""
	}
	return name
}

func sorted(nodes []api.NodeID) []api.NodeID {
	out := slices.Clone(nodes)
	slices.Sort(out)
	return out
}

func encode(f api.HostingFacts) api.RawJSON {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // strings and numbers
	}
	return data
}
