// Package mysql is the agent half of the service type mysql: MariaDB with Galera keeps the data (role mysql, which also
// has a small program that tells whether the server may be used), and HAProxy takes the connections of programs (role glb).
// Both may be on one machine.
//
// A cluster is begun only when the manager half says so, and once for each time that it says so: the number of the
// bootstrap goes to disk before anything is done, and what makes the server begin is a token that its launcher takes away
// before it starts it. So no restart of the server, the agent or the machine begins another cluster.
//
// The package knows nothing of specs on disk, the overlay or HTTP between components. What of a configuration comes from
// outside is checked in decode.
package mysql

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

// Names of the programs, under which they are supervised and log.
const (
	mysqld  = "mysqld"
	checker = "mysql-check"
	slowLog = "mysqld-slow"
)

// Bounds of waiting.
const (
	settleTime  = 10 * time.Second // a program may run without serving before that is called a failure
	askTime     = 3 * time.Second  // for one question to the server
	drainTime   = 30 * time.Second // for connections when HAProxy ends
	stopTime    = 60 * time.Second // for the server to write what it has and to leave the cluster
	installTime = 2 * time.Minute  // to make an empty database
	recoverTime = 2 * time.Minute  // to find out what the data of a killed server has
)

// Half is the agent half.
type Half struct {
	reloaded time.Time // when HAProxy was last told to take over a configuration
	served   int       // the HAProxy that has seen a server that can be used
	counted  int       // the server that was seen to count in the cluster
}

var (
	_ service.Half      = (*Half)(nil)
	_ service.Performer = (*Half)(nil)
)

// New makes the agent half.
func New() *Half { return &Half{} }

// Apply implements service.Half. It does not wait for the cluster: what needs a server that answers is done by Status.
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
	if want.proxy == nil && !slices.Contains(want.broken, api.RoleGLB) {
		fail(api.RoleGLB, h.Service().Stop(ctx, haproxy.Name))
	}
	if want.server == nil && !slices.Contains(want.broken, api.RoleMySQL) {
		fail(api.RoleMySQL, s.endServer(ctx, h, p))
	}
	if want.server != nil {
		fail(api.RoleMySQL, s.applyServer(ctx, h, p, n, *want.server))
	}
	if want.proxy != nil {
		fail(api.RoleGLB, s.applyProxy(ctx, h, p, *want.proxy))
	}
	if n.Active && len(want.broken) == 0 {
		h.Neighbours().Watch(neighbours(n, want))
	}
	return errs
}

// neighbours are the machines whose loss ends the connections to them.
func neighbours(n service.Node, want wanted) map[netip.Addr]func(context.Context) {
	all := make(map[netip.Addr]func(context.Context))
	if want.proxy != nil {
		for _, s := range want.proxy.Servers {
			all[s.Address.Addr()] = nil
		}
	}
	delete(all, n.Address)
	return all
}

// endServer ends the server after whoever tells how it is: HAProxy does not send programs to one that is about to end.
func (s *Half) endServer(ctx context.Context, h *host.Host, p paths) error {
	return errors.Join(h.Service().Stop(ctx, checker), s.stopServer(ctx, h, p))
}

// Stop implements service.Half.
func (s *Half) Stop(ctx context.Context, h *host.Host) error {
	h.Neighbours().Watch(nil)
	p, err := newPaths(h)
	if err == nil {
		err = s.endServer(ctx, h, p)
	}
	return errors.Join(h.Service().Stop(ctx, haproxy.Name), err, h.Service().Keep(ctx))
}

// paths are where the files of the service are. All of them are plain words to every program.
type paths struct {
	volume string // below the host's state directory: what outlives the machine
	run    string // the server's own sockets and marks
	config string
	user   host.User // whom the server runs as
}

// Below the state directory and the run directory.
const (
	stateDir   = "services/mysql"
	configDir  = stateDir + "/config"
	volumesDir = "volumes"     // where api.VolumeDir is
	runDir     = "mysql"       // of the server
	proxyDir   = "mysql-proxy" // of HAProxy
)

const serverUser = "mysql"

// volumeName is the volume of a machine that keeps the data and all that belongs to it, by the catalogue. Nothing may be written to its
// place or read from there but after service.VolumePath has said that it is there.
const volumeName = "data"

// newPaths makes the directories that all roles have.
func newPaths(h *host.Host) (paths, error) {
	user, err := h.User(serverUser)
	if err != nil {
		return paths{}, fmt.Errorf("%w; the image needs the package mariadb-server", err)
	}
	v := volumesDir + "/" + volumeName
	p := paths{volume: v, run: h.Run().Path(runDir), config: h.State().Path(configDir), user: user}
	errs := []error{
		h.State().Mkdir(stateDir, 0o755, host.User{}),
		h.State().Mkdir(configDir, 0o755, host.User{}),
		h.Run().Mkdir(runDir, 0o755, user),
		h.Run().Mkdir(proxyDir, 0o755, host.User{}),
	}
	for _, path := range []string{p.config, p.run, h.State().Path(v), h.Logs().Path(slowLog)} {
		if !plainPath.MatchString(path) {
			errs = append(errs, fmt.Errorf("the programs of the service cannot use the path %q; choose a root of letters, digits, '.', '_' and '-'", path))
		}
	}
	return p, errors.Join(errs...)
}
