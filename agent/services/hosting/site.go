package hosting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"conpaas/agent/host"
	"conpaas/client/api"
)

// Site is a hosting service on this machine: where its files are. All paths are plain words to every program.
type Site struct {
	Host *host.Host
	Base string // below the host's state directory: the directory of the service
	Run  string // below the host's run directory

	half *Half
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)

// site makes the directories that all roles have.
func (s *Half) site(h *host.Host) (Site, error) {
	p := Site{Host: h, Base: "services/" + string(s.kind.Type), Run: string(s.kind.Type), half: s}
	var errs []error
	for _, dir := range []string{p.Base, p.Code(), p.Config(), p.Temp()} {
		errs = append(errs, h.State().Mkdir(dir, 0o755, host.User{}))
	}
	errs = append(errs, h.State().Mkdir(p.checks(), 0o700, host.User{}), h.Run().Mkdir(p.Run, 0o755, host.User{}))
	for _, path := range []string{p.Path(p.Base), p.RunPath(""), h.Logs().Path(nginxAccess)} {
		if !plainPath.MatchString(path) {
			errs = append(errs, fmt.Errorf("the programs of the service cannot use the path %q; choose a root of letters, digits, '.', '_' and '-'", path))
		}
	}
	return p, errors.Join(errs...)
}

// Code gives the directory of the versions, below the host's state directory.
func (p Site) Code() string { return p.Base + "/code" }

// Config gives the directory of configurations, below the host's state directory.
func (p Site) Config() string { return p.Base + "/config" }

// Temp gives the directory of temporary files, below the host's state directory.
func (p Site) Temp() string { return p.Base + "/temp" }

func (p Site) checks() string { return p.Base + "/checks" }

func (p Site) redis() string { return p.Base + "/redis" }

// Path gives the path that programs use for what is below the host's state directory.
func (p Site) Path(name string) string { return p.Host.State().Path(name) }

// RunPath gives the path of a file in the run directory of the service.
func (p Site) RunPath(name string) string { return filepath.Join(p.Host.Run().Path(p.Run), name) }

// Loaded is what a program has been seen to have taken over.
type Loaded struct {
	Mark    string       `json:"mark"`
	Servers []api.NodeID `json:"servers,omitempty"`
}

// Loaded gives what a program has taken over; nothing where that is not known: it is taken over once more, which disturbs nothing.
func (p Site) Loaded(program string) Loaded {
	var l Loaded
	data, err := p.Host.Run().Read(p.Run+"/"+program+".loaded", 1<<20)
	if err != nil || json.Unmarshal(data, &l) != nil {
		return Loaded{}
	}
	return l
}

// NoteLoaded remembers what a program has taken over.
func (p Site) NoteLoaded(program string, l Loaded) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = p.Host.Run().Write(p.Run+"/"+program+".loaded", data, 0o644)
	return err
}

// Start makes a program run and tells whether it is a new one, which has read the present configuration.
func (p Site) Start(ctx context.Context, program host.Program) (fresh bool, err error) {
	before, _ := p.Host.Service().State(program.Name)
	if err := p.Host.Service().Ensure(ctx, program); err != nil {
		return false, err
	}
	after, _ := p.Host.Service().State(program.Name)
	fresh = !after.Adopted && after.PID != before.PID
	if fresh {
		p.NoteReload(program.Name)
	}
	return fresh, nil
}

// NoteReload remembers when a program was told to take over a configuration.
func (p Site) NoteReload(program string) { p.half.reloaded[program] = time.Now() }

// Restarting tells whether a program was told so less than patience ago.
func (p Site) Restarting(program string, patience time.Duration) bool {
	return time.Since(p.half.reloaded[program]) < patience
}

// OpenLog makes a log before its program does, which would let others read it.
func (p Site) OpenLog(name string) error {
	w, err := p.Host.Logs().Writer(name)
	if err != nil {
		return err
	}
	return w.Close()
}
