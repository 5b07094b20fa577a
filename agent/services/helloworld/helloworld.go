// Package helloworld is the agent half of the service type helloworld: one web page per machine, served by a
// real nginx.
// It is the template for authors of services.
//
// On a machine without a network of its own package page serves the page instead, and the role's facts say so. The package knows
// nothing of specs on disk, the overlay or HTTP between components.
package helloworld

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/page"
	"conpaas/client/api"
)

// settleTime is how long a program may run without serving before that is called a failure.
const settleTime = 10 * time.Second

// Half is the agent half.
type Half struct {
	client *http.Client
}

var _ service.Half = (*Half)(nil)

// New makes the agent half.
func New() *Half {
	return &Half{client: &http.Client{
		Timeout:       2 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy: it asks its own machine
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Apply implements service.Half.
func (s *Half) Apply(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec) map[api.Role]error {
	errs := map[api.Role]error{}
	wanted := false
	for _, r := range roles {
		if r.Role != api.HelloworldNode {
			errs[r.Role] = fmt.Errorf("service type %s has no role %q; it has %q", api.Helloworld, r.Role, api.HelloworldNode)
			continue
		}
		wanted = true
		if err := s.apply(ctx, h, n, r); err != nil {
			errs[r.Role] = err
		}
	}
	if !wanted {
		if err := s.Stop(ctx, h); err != nil {
			errs[api.HelloworldNode] = err
		}
	}
	return errs
}

func (s *Half) apply(ctx context.Context, h *host.Host, n service.Node, r api.RoleSpec) error {
	want, err := decode(r.Config, n)
	if err != nil {
		return err
	}
	if want.drain {
		return s.Stop(ctx, h)
	}
	if err := h.State().Mkdir(pageDir, 0o755, host.User{}); err != nil {
		return err
	}
	if _, err := h.State().Write(pageFile, want.page, 0o644); err != nil {
		return err
	}
	server := serverFor(n)
	if err := h.Service().Keep(ctx, server); err != nil {
		return err
	}
	if server == page.Name {
		return h.Service().Ensure(ctx, page.Program(h, pageFile, want.listen))
	}
	return s.applyNginx(ctx, h, want)
}

// serverFor names the program that serves the page.
func serverFor(n service.Node) string {
	if n.Active {
		return nginx
	}
	return page.Name
}

// Stop implements service.Half. The server finishes the requests in flight first, for as long as its grace lasts.
func (s *Half) Stop(ctx context.Context, h *host.Host) error {
	return h.Service().Keep(ctx)
}

// Status implements service.Half.
func (s *Half) Status(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec) []api.RoleStatus {
	found := api.RoleStatus{Role: api.HelloworldNode, Facts: facts(n)}
	program, known := h.Service().State(serverFor(n))
	if program.PID != 0 {
		found.PIDs = []int{program.PID}
	}
	want, wanted, err := find(roles, n)
	switch {
	case err != nil:
		found.State, found.Reason = api.RoleFailed, err.Error()
	case (!wanted || want.drain) && program.PID != 0:
		found.State, found.Reason = api.RoleStarting, "it finishes its last requests"
	case !wanted || want.drain:
		found.State = api.RoleDrained
	case !known:
		found.State, found.Reason = api.RoleStarting, "it has not been started yet"
	default:
		found.State, found.Reason = s.judge(ctx, h, want, program)
	}
	return []api.RoleStatus{found}
}

// judge tells whether a program that should serve does so.
func (s *Half) judge(ctx context.Context, h *host.Host, want config, program host.ProgramState) (api.RoleState, string) {
	var trouble string
	if program.PID == 0 {
		trouble = fmt.Sprintf("%s does not run: %s", program.Name, program.Error)
	} else if err := s.check(ctx, want); err != nil {
		trouble = err.Error()
		if time.Since(program.Since) < settleTime && program.Restarts == 0 {
			return api.RoleStarting, trouble
		}
	}
	if trouble == "" {
		return api.RoleReady, ""
	}
	return api.RoleFailed, trouble + h.Logs().LastWords(program.Name)
}

// find gives the configuration of the one role among those that were applied.
func find(roles []api.RoleSpec, n service.Node) (want config, wanted bool, err error) {
	for _, r := range roles {
		if r.Role == api.HelloworldNode {
			want, err = decode(r.Config, n)
			return want, true, err
		}
	}
	return config{}, false, nil
}

func facts(n service.Node) api.RawJSON {
	f := api.HelloworldFacts{Server: nginx}
	if !n.Active {
		f = api.HelloworldFacts{Server: page.Name, Note: "this runtime has no network of its own: a small server of the agent serves the page in place of nginx"}
	}
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // two strings
	}
	return data
}
