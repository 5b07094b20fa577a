package php

import (
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
	boundLogs(h)
	broken := map[api.Role]error{}
	want := decodeAll(roles, n, func(r api.Role, err error) { broken[r] = err })
	p, err := newPaths(h)
	if err != nil {
		for _, r := range roles {
			broken[r.Role] = err
		}
	}
	all := []api.RoleStatus{s.proxyStatus(ctx, h, p, n, want), s.webStatus(ctx, h, p, want), s.backendStatus(ctx, h, p, want)}
	for i, r := range all {
		if err := broken[r.Role]; err != nil {
			all[i].State, all[i].Reason = api.RoleFailed, err.Error()
		}
	}
	return all
}

// program is one program of a role and what is wrong with it, nil for nothing.
type program struct {
	name    string
	trouble error
}

// roleStatus judges a role by its programs.
func (s *Half) roleStatus(h *host.Host, role api.Role, is bool, facts api.HostingFacts, programs ...program) api.RoleStatus {
	status := api.RoleStatus{Role: role, State: api.RoleReady, Facts: encode(facts)}
	if !is {
		status.State = api.RoleDrained
	}
	for _, p := range programs {
		state, known := h.Service().State(p.name)
		if state.PID != 0 {
			status.PIDs = append(status.PIDs, state.PID)
		}
		switch {
		case !is && state.PID != 0:
			status.State, status.Reason = api.RoleStarting, p.name+" finishes its last requests"
		case !is || status.State == api.RoleFailed:
		case !known:
			status.State, status.Reason = api.RoleStarting, p.name+" has not been started yet"
		case state.PID == 0:
			status.State, status.Reason = api.RoleFailed, fmt.Sprintf("%s does not run: %s%s", p.name, state.Error, h.Logs().LastWords(p.name))
		case p.trouble == nil:
		case s.settling(p.name, state):
			status.State, status.Reason = api.RoleStarting, p.trouble.Error()
		default:
			status.State, status.Reason = api.RoleFailed, p.trouble.Error()+h.Logs().LastWords(p.name)
		}
	}
	return status
}

// settling tells whether a program was started or told to take over a configuration a short while ago.
func (s *Half) settling(name string, state host.ProgramState) bool {
	if s.restarting(name) {
		return true
	}
	return state.Restarts == 0 && time.Since(state.Since) < settleTime
}

func (s *Half) restarting(name string) bool {
	patience := settleTime
	if name == fpm {
		patience += drainTime // it lets requests in flight end before it is there again
	}
	return time.Since(s.reloaded[name]) < patience
}

func (s *Half) proxyStatus(ctx context.Context, h *host.Host, p paths, n service.Node, want wanted) api.RoleStatus {
	if want.proxy == nil {
		return s.roleStatus(h, api.RoleProxy, false, api.HostingFacts{}, program{name: haproxy.Name}, program{name: redis})
	}
	c := *want.proxy
	facts := api.HostingFacts{Servers: sorted(readLoaded(h, haproxy.Name).Servers)}
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
	programs := []program{{haproxy.Name, trouble}}
	if c.Sessions != nil {
		programs = append(programs, program{redis, askRedis(ctx, *c.Sessions)})
	}
	return s.roleStatus(h, api.RoleProxy, true, facts, programs...)
}

func (s *Half) webStatus(ctx context.Context, h *host.Host, p paths, want wanted) api.RoleStatus {
	if want.web == nil {
		return s.roleStatus(h, api.RoleWeb, false, api.HostingFacts{}, program{name: nginx})
	}
	c := *want.web
	facts := api.HostingFacts{Servers: sorted(readLoaded(h, nginx).Servers)}
	facts.Checked, facts.Refused = judge(h, c.Versions, false)
	trouble := func() error {
		versions, err := usable(h)
		if err != nil {
			return err
		}
		_, mark, err := renderNginx(p, c, versions)
		if err != nil {
			return err
		}
		now, err := s.askNginx(ctx, c.Listen)
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
	return s.roleStatus(h, api.RoleWeb, true, facts, program{nginx, trouble})
}

func (s *Half) backendStatus(ctx context.Context, h *host.Host, p paths, want wanted) api.RoleStatus {
	if want.backend == nil {
		return s.roleStatus(h, api.RoleBackend, false, api.HostingFacts{}, program{name: fpm})
	}
	c := *want.backend
	var facts api.HostingFacts
	facts.Checked, facts.Refused = judge(h, c.Versions, true)
	now, active, err := askFPM(ctx, p)
	facts.Active = active
	if name, err := os.Hostname(); err == nil && hostName.MatchString(name) {
		facts.Host = name
	}
	if c.Drain {
		return s.drained(h, facts, err)
	}
	s.quiet = time.Time{}
	if err == nil {
		_, _, mark, e := renderFPM(p, c)
		if err = e; err == nil && now != mark {
			err = fmt.Errorf("php-fpm finishes what is in flight under its old settings")
		}
	}
	return s.roleStatus(h, api.RoleBackend, true, facts, program{fpm, err})
}

// drained judges a backend that is to go: it is drained once nothing has been in flight for a while. It goes on running, in case that
// a server has not heard yet.
func (s *Half) drained(h *host.Host, facts api.HostingFacts, err error) api.RoleStatus {
	status := api.RoleStatus{Role: api.RoleBackend, State: api.RoleDrained, Facts: encode(facts)}
	state, _ := h.Service().State(fpm)
	if state.PID == 0 {
		return status
	}
	status.PIDs = []int{state.PID}
	if err != nil || facts.Active > 0 {
		s.quiet = time.Time{}
	} else if s.quiet.IsZero() {
		s.quiet = time.Now()
	}
	switch {
	case err != nil:
		status.State, status.Reason = api.RoleStarting, err.Error()
	case facts.Active > 0:
		status.State, status.Reason = api.RoleStarting, fmt.Sprintf("%d requests are in flight", facts.Active)
	case time.Since(s.quiet) < quietTime:
		status.State, status.Reason = api.RoleStarting, "late requests may still come"
	}
	return status
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
