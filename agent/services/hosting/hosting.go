// Package hosting is what the agent halves of the types share that run the code of their owners (ServiceKind.Hosting):
// HAProxy takes the requests (role proxy, which also keeps the sessions in Redis), nginx serves files (role web), and what
// the type brings runs the programs (role backend). The three may be on one machine or on several.
//
// Every code version has one path, the same on each machine. The proxy says in a header which version a request
// gets, so that all of a request, its static files' siblings included, is of one version.
//
// The package knows nothing of specs on disk, the overlay, HTTP between components or a single type. What of a configuration
// comes from outside is checked in decode, rendered, and tried by the program itself before it replaces the old.
package hosting

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

// Names of the programs, under which they are supervised and log.
const (
	nginx = "nginx"
	redis = "redis"
)

// User runs nginx's workers and the programs of users.
const User = "www-data"

// DrainTime is for requests in flight when a role ends.
const DrainTime = 30 * time.Second

// Bounds of waiting.
const (
	settleTime = 10 * time.Second // a program may run without serving before that is called a failure
	askTime    = 2 * time.Second  // for one question to a program
	quietTime  = 2 * time.Second  // a backend that is to go has nothing in flight for so long: a worker of nginx from before its reload may come late
	keepTime   = 10 * time.Minute // for requests in flight on a version that is no longer wanted, as long as old workers live
)

// Half is the agent half of a hosting type.
type Half struct {
	Keep time.Duration // how long a version stays that is no longer wanted, for requests in flight

	kind     Kind
	client   *http.Client
	limits   limits
	job      *job                 // nil while no version is prepared
	reloaded map[string]time.Time // program: when it was last told to take over a configuration
	quiet    time.Time            // since when a backend that is to go has nothing in flight; zero while it has
	waiting  map[string]time.Time // program: since when new servers of its cannot be reached
	patience time.Duration        // how long that is waited for
}

var (
	_ service.Half   = (*Half)(nil)
	_ service.Closer = (*Half)(nil)
)

// New makes the agent half of a type.
func New(kind Kind) *Half {
	return &Half{
		kind: kind,
		client: &http.Client{
			Timeout:       askTime,
			Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy: it asks its own machine
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Keep: keepTime, limits: limits{unpack: unpackTime, check: checkTime, slice: sliceTime}, reloaded: map[string]time.Time{},
		waiting: map[string]time.Time{}, patience: reachTime,
	}
}

// Apply implements service.Half. What serves comes before what uses it.
func (s *Half) Apply(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec) map[api.Role]error {
	errs := map[api.Role]error{}
	fail := func(role api.Role, err error) {
		if err != nil {
			errs[role] = errors.Join(errs[role], err)
		}
	}
	want := s.decodeAll(roles, n, fail)
	p, err := s.site(h)
	if err != nil {
		for _, r := range roles {
			fail(r.Role, err)
		}
		return errs
	}
	for role, err := range s.endOthers(ctx, p, want) {
		fail(role, err)
	}
	s.prepare(ctx, p, want, fail)
	if len(want.broken) == 0 {
		if err := s.prune(p, want.versions()); err != nil && len(roles) > 0 {
			fail(roles[0].Role, err)
		}
	}
	if want.proxy != nil && want.proxy.Sessions != nil {
		fail(api.RoleProxy, s.applyRedis(ctx, p, *want.proxy.Sessions))
	}
	if want.backend != nil && !want.backend.Drain {
		fail(api.RoleBackend, s.kind.Runner.Apply(ctx, p, *want.backend))
	}
	if want.web != nil {
		fail(api.RoleWeb, s.applyWeb(ctx, p, *want.web))
	}
	if want.proxy != nil {
		fail(api.RoleProxy, s.applyHAProxy(ctx, p, n, *want.proxy))
	}
	if n.Active && len(want.broken) == 0 {
		h.Neighbours().Watch(s.neighbours(n, want))
	}
	return errs
}

// neighbours are the machines whose loss ends what waits for them, each with what else is to be done then: requests that
// wait for a server get an error or another server, and the sessions that a lost one has locked are released.
func (s *Half) neighbours(n service.Node, want wanted) map[netip.Addr]func(context.Context) {
	all := make(map[netip.Addr]func(context.Context))
	if want.web != nil {
		for _, s := range want.web.Backends {
			all[s.Address.Addr()] = nil
		}
	}
	if want.proxy != nil {
		for _, s := range want.proxy.Webs {
			all[s.Address.Addr()] = nil
		}
		for _, l := range want.proxy.Holders {
			store := *want.proxy.Sessions
			all[l.Address] = func(ctx context.Context) { _, _ = ReleaseLocks(ctx, store, s.kind.Locks, l.Name) } // or they end by themselves
		}
	}
	if want.backend != nil {
		all[want.backend.Sessions.Listen.Addr()] = nil
	}
	delete(all, n.Address)
	return all
}

// endOthers ends the programs of roles that the machine no longer has. A role whose configuration is wrong goes on
// as it was.
func (s *Half) endOthers(ctx context.Context, p Site, want wanted) map[api.Role]error {
	errs := map[api.Role]error{}
	end := func(role api.Role, still bool, stop func() error) {
		if still || slices.Contains(want.broken, role) {
			return
		}
		if err := stop(); err != nil {
			errs[role] = errors.Join(errs[role], err)
		}
	}
	program := func(name string) func() error { return func() error { return p.Host.Service().Stop(ctx, name) } }
	end(api.RoleProxy, want.proxy != nil, program(haproxy.Name))
	end(api.RoleWeb, want.web != nil, program(nginx))
	end(api.RoleBackend, want.backend != nil, func() error { return s.kind.Runner.End(ctx, p) })
	end(api.RoleProxy, want.proxy != nil && want.proxy.Sessions != nil, program(redis))
	return errs
}

// Stop implements service.Half. Requests in flight are answered first, for as long as DrainTime.
func (s *Half) Stop(ctx context.Context, h *host.Host) error {
	h.Neighbours().Watch(nil)
	p, err := s.site(h)
	if err != nil {
		return err
	}
	errs := make([]error, 3)
	var all sync.WaitGroup
	for i, name := range []string{haproxy.Name, nginx} {
		all.Go(func() { errs[i] = h.Service().Stop(ctx, name) })
	}
	all.Go(func() { errs[2] = s.kind.Runner.End(ctx, p) })
	all.Wait()
	return errors.Join(append(errs, h.Service().Keep(ctx))...)
}
