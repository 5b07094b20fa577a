package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"conpaas/client/daemon/proc"
)

// Program is one program to be kept running. It runs in a session of its own, outlives the agent and writes to
// the log of its name. Another program under the same name, a changed argument included, replaces it.
type Program struct {
	Name  string // unique under its supervisor; also the name of its log, unless there is a Log
	Path  string
	Args  []string       // without the program's own name
	Env   []string       // beside PATH
	Log   string         // the name of a log that several programs share; "": its own
	User  User           // a program of another than root never gets more rights than this user's
	Stop  syscall.Signal // asks it to end; 0: SIGTERM
	Grace time.Duration  // how long it may take to end before it is killed with its whole session; 0: 10 s
	Keep  bool           // a running one is kept although it differs: the change takes effect when it is next started
}

// ProgramState is where a program stands.
type ProgramState struct {
	Name     string
	PID      int       // 0 while it does not run
	Since    time.Time // when it was started or adopted, or ended
	Adopted  bool      // it was started by an agent before this one
	Restarts int       // times that it ended by itself since it was last asked for
	Error    string    // how it ended, or why it could not be started
}

// Supervisor keeps programs running: one that ends is started again after a growing delay, its whole session
// ended before. What runs is kept on disk, so that the next agent adopts it.
type Supervisor struct {
	log     *slog.Logger
	dir     *Tree  // for root alone
	home    string // where programs start, which each user may enter
	logs    *Logs
	changed chan struct{}

	mu    sync.Mutex
	units map[string]*unit
}

var programName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

const (
	defaultGrace = 10 * time.Second
	stateSuffix  = ".json"
)

// supervisor opens the programs of a group and finds those that an agent before this one has left.
func (h *Host) supervisor(group string) (*Supervisor, error) {
	dir, err := openTree(filepath.Join(h.run.path, group), 0o700)
	if err != nil {
		return nil, err
	}
	s := &Supervisor{log: h.log, dir: dir, home: filepath.Join("/", h.root), logs: h.logs, changed: make(chan struct{}, 1), units: map[string]*unit{}}
	files, err := dir.Names(".")
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f, stateSuffix); ok && programName.MatchString(name) {
			s.unit(name)
		}
	}
	return s, nil
}

func (s *Supervisor) unit(name string) *unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.units[name]
	if !ok {
		u = &unit{s: s, name: name, state: ProgramState{Name: name}, file: s.dir.Path(name + stateSuffix)}
		s.units[name] = u
	}
	return u
}

// Ensure makes the program run as it is given: it starts it, adopts it, restarts it where it has changed, and
// does nothing where it has not. It does not wait until the program serves.
func (s *Supervisor) Ensure(ctx context.Context, p Program) error {
	if !programName.MatchString(p.Name) {
		return fmt.Errorf("program name %q: use 1 to 63 letters a-z, digits and '-'", p.Name)
	}
	if err := s.unit(p.Name).ensure(ctx, p); err != nil {
		return fmt.Errorf("run program %s: %w", p.Name, err)
	}
	return nil
}

// Stop ends a program with its whole session and forgets it. An unknown one is no error.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	s.mu.Lock()
	u, ok := s.units[name]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	if err := u.end(ctx); err != nil {
		return fmt.Errorf("stop program %s: %w", name, err)
	}
	s.mu.Lock()
	delete(s.units, name)
	s.mu.Unlock()
	return nil
}

// Keep stops every program but the named ones, those included that an agent before this one has started.
func (s *Supervisor) Keep(ctx context.Context, names ...string) error {
	s.mu.Lock()
	var others []string
	for name := range s.units {
		if !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	s.mu.Unlock()
	slices.Sort(others)
	var errs []error
	for _, name := range others {
		errs = append(errs, s.Stop(ctx, name))
	}
	return errors.Join(errs...)
}

// Signal sends a signal to the first process of a running program.
func (s *Supervisor) Signal(name string, signal syscall.Signal) error {
	if err := s.unit(name).signal(signal); err != nil {
		return fmt.Errorf("signal program %s: %w", name, err)
	}
	return nil
}

// State tells where a program stands; false for one that was never asked for or was stopped.
func (s *Supervisor) State(name string) (ProgramState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.units[name]
	if !ok || !u.asked {
		return ProgramState{Name: name}, false
	}
	return u.state, true
}

// Changed receives something after programs have ended or were started; several changes may come as one.
func (s *Supervisor) Changed() <-chan struct{} { return s.changed }

func (s *Supervisor) notify() {
	select {
	case s.changed <- struct{}{}:
	default: // one is waiting to be read already
	}
}

// close ends the watching, not the programs.
func (s *Supervisor) close() error {
	s.mu.Lock()
	units := slices.Collect(maps.Values(s.units))
	s.mu.Unlock()
	for _, u := range units {
		u.release()
	}
	return s.dir.Close()
}

// programPath is the PATH of every program, whatever the agent's own is.
const programPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (s *Supervisor) spec(p Program) proc.Spec {
	return proc.Spec{
		Name: p.Name, Path: p.Path, Args: p.Args, Env: append([]string{"PATH=" + programPath}, p.Env...), Dir: s.home,
		Log: s.logs.Path(cmp.Or(p.Log, p.Name)), User: proc.User(p.User),
	}
}
