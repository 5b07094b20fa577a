// Package host is the agent's hands: files below its root, users, supervised programs, their logs, commands
// and the node's packet filter. It is the only package of the agent that touches the operating system.
//
// It knows nothing of services, specs, the overlay's peers or HTTP. Names that come from outside are resolved
// below a directory handle (os.Root), so that no name leads out of the tree it belongs to.
package host

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Options say where a host's files are.
type Options struct {
	Root string // prefix of every path; "" is the machine itself
	Log  *slog.Logger
	Self string // path of the cpsagent program; "": the running one
}

// Host is one machine as its agent uses it.
type Host struct {
	log     *slog.Logger
	root    string
	self    string
	state   *Tree
	run     *Tree
	logs    *Logs
	system  *Supervisor
	service *Supervisor
	near    *Neighbours
	execs   chan struct{}
}

// Paths below the root.
const (
	stateDir = "/var/lib/conpaas"
	runDir   = "/run/conpaas"
	logDir   = "/var/log/conpaas"
)

// Open makes the host's directories where they are missing and opens them.
func Open(o Options) (*Host, error) {
	h := &Host{
		log: o.Log, root: o.Root, self: o.Self, near: &Neighbours{log: o.Log, all: map[netip.Addr]*neighbour{}}, execs: make(chan struct{}, maxExecs),
	}
	if h.self == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the program of the agent: %w", err)
		}
		h.self = strings.TrimSuffix(self, " (deleted)")
	}
	err := h.open()
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *Host) open() (err error) {
	if h.state, err = openTree(filepath.Join("/", h.root, stateDir), 0o755); err != nil {
		return err
	}
	if h.run, err = openTree(filepath.Join("/", h.root, runDir), 0o755); err != nil {
		return err
	}
	logs, err := openTree(filepath.Join("/", h.root, logDir), 0o755)
	if err != nil {
		return err
	}
	h.logs = &Logs{tree: logs}
	if h.system, err = h.supervisor("system"); err != nil {
		return err
	}
	h.service, err = h.supervisor("service")
	return err
}

// Root is the prefix of every path; "" on a machine of its own.
func (h *Host) Root() string { return h.root }

// Self is the path of the cpsagent program.
func (h *Host) Self() string { return h.self }

// State holds what outlives a restart of the machine.
func (h *Host) State() *Tree { return h.state }

// Run holds what need not outlive the machine's present boot.
func (h *Host) Run() *Tree { return h.run }

// Logs are the log files of the programs.
func (h *Host) Logs() *Logs { return h.logs }

// System supervises the agent's own programs, for example the overlay.
func (h *Host) System() *Supervisor { return h.system }

// Service supervises the programs of the roles.
func (h *Host) Service() *Supervisor { return h.service }

// Neighbours watches the machines that the programs of the roles talk to.
func (h *Host) Neighbours() *Neighbours { return h.near }

// Place opens a directory of the machine that is neither State nor Run, by its absolute path, and makes it where it is missing. The
// caller closes it.
func (h *Host) Place(path string) (*Tree, error) { return openTree(h.at(path), 0o755) }

// Look finds a program of the machine by name, or checks that it is there when name is a path.
func (h *Host) Look(name string) (string, error) {
	if strings.Contains(name, "/") {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(programPath) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find program %s on this machine: %w", name, exec.ErrNotFound)
}

// Close lets go of everything. Supervised programs go on: they are adopted when the host is opened again.
func (h *Host) Close() error {
	h.near.close()
	var errs []error
	for _, s := range []*Supervisor{h.system, h.service} {
		if s != nil {
			s.close()
		}
	}
	for _, t := range []*Tree{h.state, h.run} {
		if t != nil {
			errs = append(errs, t.Close())
		}
	}
	if h.logs != nil {
		errs = append(errs, h.logs.tree.Close())
	}
	return errors.Join(errs...)
}
