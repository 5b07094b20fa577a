package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

// Status implements service.Half. It also does what waits for a server that answers: the account of programs, and settings
// that a running server takes over.
func (s *Half) Status(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec) []api.RoleStatus {
	h.Logs().Bound(slowLog)
	broken := map[api.Role]error{}
	want := decodeAll(roles, n, func(r api.Role, err error) { broken[r] = err })
	p, err := newPaths(h)
	if err != nil {
		for _, r := range roles {
			broken[r.Role] = err
		}
	}
	all := []api.RoleStatus{s.serverStatus(ctx, h, n, p, want.server), s.proxyStatus(ctx, h, want.proxy)}
	for i, r := range all {
		if err := broken[r.Role]; err != nil {
			all[i].State, all[i].Reason = api.RoleFailed, err.Error()
		}
	}
	return all
}

// ended judges a role that the machine does not have.
func ended(h *host.Host, role api.Role, programs ...string) api.RoleStatus {
	status := api.RoleStatus{Role: role, State: api.RoleDrained}
	for _, name := range programs {
		if state, _ := h.Service().State(name); state.PID != 0 {
			status.State, status.Reason, status.PIDs = api.RoleStarting, name+" is ending", append(status.PIDs, state.PID)
		}
	}
	return status
}

func (s *Half) proxyStatus(ctx context.Context, h *host.Host, want *api.MySQLProxyConfig) api.RoleStatus {
	if want == nil {
		return ended(h, api.RoleGLB, haproxy.Name)
	}
	state, known := h.Service().State(haproxy.Name)
	status := api.RoleStatus{Role: api.RoleGLB, State: api.RoleReady}
	if state.PID != 0 {
		status.PIDs = []int{state.PID}
	}
	trouble := s.proxyTrouble(ctx, h, *want, state.PID)
	switch settling := time.Since(s.reloaded) < settleTime || state.Restarts == 0 && time.Since(state.Since) < settleTime; {
	case !known:
		status.State, status.Reason = api.RoleStarting, "haproxy has not been started yet"
	case state.PID == 0:
		status.State, status.Reason = api.RoleFailed, "haproxy does not run: "+state.Error+h.Logs().LastWords(haproxy.Name)
	case trouble == nil:
	case settling, errors.Is(trouble, errNoServer):
		status.State, status.Reason = api.RoleStarting, trouble.Error()
	default:
		status.State, status.Reason = api.RoleFailed, trouble.Error()+h.Logs().LastWords(haproxy.Name)
	}
	return status
}

func (s *Half) serverStatus(ctx context.Context, h *host.Host, n service.Node, p paths, want *api.MySQLConfig) api.RoleStatus {
	if want == nil {
		return ended(h, api.RoleMySQL, mysqld, checker)
	}
	status := api.RoleStatus{Role: api.RoleMySQL, State: api.RoleStarting}
	if _, err := service.VolumePath(n, volumeName); err != nil { // what is on it nobody knows
		status.Reason = err.Error()
		return status
	}
	state, known := h.Service().State(mysqld)
	if state.PID != 0 {
		status.PIDs = []int{state.PID}
	}
	var facts api.MySQLFacts
	var err error
	if facts.Bootstraps, err = bootstraps(h, p); err != nil {
		return api.RoleStatus{Role: api.RoleMySQL, State: api.RoleFailed, Reason: err.Error()}
	}
	note, noted := readLaunched(h)
	if noted = noted && note.pid == state.PID && state.PID != 0; noted {
		facts.Knows = parseAddresses(note.knows)
	}
	now, trouble := look(ctx, p, state)
	switch {
	case !known:
		facts.State = api.MySQLStateStopped
		status.Reason = "the database waits for its turn to join the cluster, or for the manager to have the cluster begun"
	case trouble == nil:
		facts = answering(facts, now)
	default:
		facts.State = api.MySQLStateStarting
		if noted && note.begins {
			facts.State = api.MySQLStateBeginning
		}
		status.Reason = "the database is not in the cluster yet: " + trouble.Error()
		if state.PID == 0 {
			status.Reason = "the database does not run: " + state.Error + h.Logs().LastWords(mysqld)
		}
	}
	if trouble != nil {
		found, err := s.positionOf(h, p)
		if err != nil {
			status.State, status.Reason = api.RoleFailed, err.Error()
		}
		facts.Position = string(found)
	}
	if trouble == nil {
		status.State, status.Reason = s.judge(ctx, p, h, want, now, state)
	}
	if full, err := room(h, p, &facts); err != nil {
		status.State, status.Reason = api.RoleFailed, err.Error()
	} else if full != "" {
		status.Reason = strings.TrimPrefix(status.Reason+"; "+full, "; ")
	}
	status.Facts = encode(facts)
	return status
}

// parseAddresses leaves out what is none: the server's user could have written anything.
func parseAddresses(text string) (all []netip.Addr) {
	for part := range strings.SplitSeq(text, ",") {
		if a, err := netip.ParseAddr(part); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// look asks the server, when it runs.
func look(ctx context.Context, p paths, state host.ProgramState) (standing, error) {
	if state.PID == 0 {
		return standing{}, errors.New("it does not run")
	}
	return askServer(ctx, p)
}

func answering(f api.MySQLFacts, now standing) api.MySQLFacts {
	f.State, f.Primary, f.ClusterSize, f.ClusterUUID, f.Queue, f.Queries = now.state, now.primary, now.size, now.uuid, now.queue, now.queries
	if found, err := parsePosition(now.position()); err == nil {
		f.Position = string(found)
	}
	return f
}

// judge tells how a server is that answers.
func (s *Half) judge(ctx context.Context, p paths, h *host.Host, want *api.MySQLConfig, now standing, state host.ProgramState) (api.RoleState, string) {
	if now.outside { // it comes back when it is started again
		_ = h.Service().Signal(mysqld, syscall.SIGTERM) // of one that has just ended
		return api.RoleStarting, "the database could not apply a change, and gets all the data again"
	}
	if err := takeReserve(h, p); err != nil {
		return api.RoleFailed, err.Error()
	}
	switch {
	case !now.primary:
		return api.RoleStarting, fmt.Sprintf("the database does not take changes: it sees %d of the machines, which is not most of the cluster", now.size)
	case !now.usable():
		return api.RoleStarting, "the database is " + now.state
	}
	err := withServer(ctx, p, func(ctx context.Context, db *sql.DB) error {
		if err := s.count(ctx, db, state.PID); err != nil {
			return err
		}
		if err := ensureAccount(ctx, db, want.Password.Reveal()); err != nil {
			return err
		}
		return s.takeOver(ctx, db, h, want, state)
	})
	if err != nil {
		return api.RoleStarting, err.Error()
	}
	return api.RoleReady, ""
}

// count has a server that has all the data count in its cluster, before the manager half hears that it can be used.
func (s *Half) count(ctx context.Context, db *sql.DB, pid int) error {
	if s.counted == pid {
		return nil
	}
	err := ensureCounted(ctx, db)
	if err == nil {
		s.counted = pid
	}
	return err
}

// takenOverFile tells which process has which settings.
const takenOverFile = runDir + "/settings"

// takeOver changes the settings of a server that runs with others.
func (s *Half) takeOver(ctx context.Context, db *sql.DB, h *host.Host, want *api.MySQLConfig, state host.ProgramState) error {
	set, err := readSettings(want.Settings)
	if err != nil {
		return err
	}
	mark := fmt.Sprintf("%d %+v", state.PID, set)
	if taken, err := h.Run().Read(takenOverFile, 1<<10); err == nil && strings.TrimSpace(string(taken)) == mark {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := ensureSettings(ctx, db, set); err != nil {
		return err
	}
	_, err = h.Run().Write(takenOverFile, []byte(mark), 0o644)
	return err
}

func encode(f api.MySQLFacts) api.RawJSON {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // strings and numbers
	}
	return data
}
