// Package php is the agent half of the service type php: HAProxy takes the requests (role proxy, which also keeps
// the sessions in Redis), nginx serves files (role web), and php-fpm runs the programs (role backend). The three
// may be on one machine or on several.
//
// Every code version has one path, the same on each machine. The proxy says in a header which version a request
// gets, so that all of a request, its static files' siblings included, is of one version.
//
// The package knows nothing of specs on disk, the overlay or HTTP between components. What of a configuration
// comes from outside is checked in decode, rendered, and tried by the program itself before it replaces the old.
package php

import (
	"context"
	"errors"
	"fmt"
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
	fpm   = "php-fpm"
	redis = "redis"
)

// Bounds of waiting.
const (
	settleTime = 10 * time.Second // a program may run without serving before that is called a failure
	askTime    = 2 * time.Second  // for one question to a program
	drainTime  = 30 * time.Second // for requests in flight when a role ends
	quietTime  = 2 * time.Second  // a backend that is to go has nothing in flight for so long: a worker of nginx from before its reload may come late
	keepTime   = 10 * time.Minute // for requests in flight on a version that is no longer wanted, as long as old workers live
)

// Half is the agent half.
type Half struct {
	client   *http.Client
	keep     time.Duration
	limits   limits
	job      *job                 // nil while no version is prepared
	reloaded map[string]time.Time // program: when it was last told to take over a configuration
	quiet    time.Time            // since when a backend that is to go has nothing in flight; zero while it has
}

var (
	_ service.Half   = (*Half)(nil)
	_ service.Closer = (*Half)(nil)
)

// New makes the agent half.
func New() *Half {
	return &Half{
		client: &http.Client{
			Timeout:       askTime,
			Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy: it asks its own machine
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		keep: keepTime, limits: limits{unpack: unpackTime, check: checkTime, slice: sliceTime}, reloaded: map[string]time.Time{},
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
	want := decodeAll(roles, n, fail)
	p, err := newPaths(h)
	if err != nil {
		for _, r := range roles {
			fail(r.Role, err)
		}
		return errs
	}
	for role, err := range s.endOthers(ctx, h, want) {
		fail(role, err)
	}
	s.prepare(ctx, h, p, want, fail)
	if len(want.broken) == 0 {
		if err := s.prune(h, want.versions()); err != nil && len(roles) > 0 {
			fail(roles[0].Role, err)
		}
	}
	if want.proxy != nil && want.proxy.Sessions != nil {
		fail(api.RoleProxy, s.applyRedis(ctx, h, p, *want.proxy.Sessions))
	}
	if want.backend != nil && !want.backend.Drain {
		fail(api.RoleBackend, s.applyFPM(ctx, h, p, *want.backend))
	}
	if want.web != nil {
		fail(api.RoleWeb, s.applyNginx(ctx, h, p, *want.web))
	}
	if want.proxy != nil {
		fail(api.RoleProxy, s.applyHAProxy(ctx, h, p, n, *want.proxy))
	}
	if n.Active && len(want.broken) == 0 {
		h.Neighbours().Watch(neighbours(n, want))
	}
	return errs
}

// neighbours are the machines whose loss ends what waits for them, each with what else is to be done then: requests that
// wait for a server get an error or another server, and the sessions that a lost one has locked are released.
func neighbours(n service.Node, want wanted) map[netip.Addr]func(context.Context) {
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
			all[l.Address] = func(ctx context.Context) { _, _ = releaseLocks(ctx, store, l.Name) } // or they end by themselves
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
func (s *Half) endOthers(ctx context.Context, h *host.Host, want wanted) map[api.Role]error {
	errs := map[api.Role]error{}
	end := func(role api.Role, name string, still bool) {
		if still || slices.Contains(want.broken, role) {
			return
		}
		if err := h.Service().Stop(ctx, name); err != nil {
			errs[role] = errors.Join(errs[role], err)
		}
	}
	end(api.RoleProxy, haproxy.Name, want.proxy != nil)
	end(api.RoleWeb, nginx, want.web != nil)
	end(api.RoleBackend, fpm, want.backend != nil)
	end(api.RoleProxy, redis, want.proxy != nil && want.proxy.Sessions != nil)
	return errs
}

// Stop implements service.Half. Requests in flight are answered first, for as long as drainTime.
func (s *Half) Stop(ctx context.Context, h *host.Host) error {
	h.Neighbours().Watch(nil)
	errs := make([]error, 3)
	var all sync.WaitGroup
	for i, name := range []string{haproxy.Name, nginx, fpm} {
		all.Go(func() { errs[i] = h.Service().Stop(ctx, name) })
	}
	all.Wait()
	return errors.Join(append(errs, h.Service().Keep(ctx))...)
}

// paths are where the files of the service are. All of them are plain words to every program.
type paths struct {
	state, run, code, config, temp string

	log func(name string) string
}

// Below the state directory and the run directory.
const (
	stateDir  = "services/php"
	codeDir   = stateDir + "/code"
	checkDir  = stateDir + "/checks"
	configDir = stateDir + "/config"
	tempDir   = stateDir + "/temp"
	redisDir  = stateDir + "/redis"
	runDir    = "php"
)

// webUser runs nginx's workers and the programs of users.
const webUser = "www-data"

// newPaths makes the directories that all roles have.
func newPaths(h *host.Host) (paths, error) {
	var errs []error
	for _, dir := range []string{stateDir, codeDir, configDir, tempDir} {
		errs = append(errs, h.State().Mkdir(dir, 0o755, host.User{}))
	}
	errs = append(errs, h.State().Mkdir(checkDir, 0o700, host.User{}), h.Run().Mkdir(runDir, 0o755, host.User{}))
	p := paths{
		state: h.State().Path(stateDir), run: h.Run().Path(runDir), code: h.State().Path(codeDir),
		config: h.State().Path(configDir), temp: h.State().Path(tempDir), log: h.Logs().Path,
	}
	for _, path := range []string{p.state, p.run, p.log(nginxAccess)} {
		if !plainPath.MatchString(path) {
			errs = append(errs, fmt.Errorf("the programs of the service cannot use the path %q; choose a root of letters, digits, '.', '_' and '-'", path))
		}
	}
	return p, errors.Join(errs...)
}
