//go:build linux

package overlay

import (
	"fmt"
	"os"
	"path/filepath"

	"conpaas/client/daemon/proc"
)

// program is a process of its own that this package keeps running. It is for one goroutine at a time.
type program struct {
	state   string // its state file
	spec    proc.Spec
	process *proc.Process // nil until ensure
	started bool          // by this program, so that it knows nothing yet
}

func newProgram(c Config, name string, args ...string) *program {
	return &program{
		state: filepath.Join(c.RunDir, name+".process"),
		spec: proc.Spec{
			Name: name, Path: c.Program, Args: append([]string{name}, args...), Env: os.Environ(), Log: filepath.Join(c.LogDir, name+".log"),
		},
	}
}

// running tells whether ensure has nothing to do.
func (p *program) running() bool { return p.process != nil && p.process.Alive() }

// ensure starts the program unless it runs already, and tells whether it is another process now than at the last call. One
// that an older version has started goes on: replacing it would lose packets for nothing.
func (p *program) ensure() (fresh bool, err error) {
	if p.running() {
		return false, nil
	}
	p.release()
	process, ok, err := proc.Adopt(p.state)
	if err != nil {
		return false, fmt.Errorf("adopt the process %s: %w", p.spec.Name, err)
	}
	if !ok {
		if process, err = proc.Start(p.state, p.spec); err != nil {
			return false, err
		}
	}
	p.process, p.started = process, !ok
	return true, nil
}

// release lets go of the process, which goes on.
func (p *program) release() {
	if p.process != nil {
		p.process.Release()
		p.process = nil
	}
}
