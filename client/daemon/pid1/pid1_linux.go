package pid1

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon/proc"
)

const (
	daemonGrace = 5 * time.Second // for the daemon to end after TERM
	othersGrace = 5 * time.Second // for all other programs of the machine, after that
)

// Config is the daemon that is to run.
type Config struct {
	Name     string   // for logs and the state file
	Path     string   // of the daemon; each start takes what is there then
	Args     []string // without the daemon's own name
	Env      []string // its whole environment, as NAME=value
	StateDir string   // directory that keeps which process the daemon is; made if it is not there
	Log      string   // file that gets the daemon's output; "": the output of this program
}

// Run is the body of a machine's first program. It reaps orphans (as PID 1, else as subreaper of what it starts) and keeps
// the daemon running, with pauses of 100 ms to 10 s between its starts. A daemon that an earlier Run has left is taken
// over. The programs that the daemon has detached are not touched when it ends or is killed.
//
// TERM, INT or the end of ctx end the daemon, by TERM and then KILL. Really as PID 1 all other programs are ended after it,
// in the same way; otherwise they live on. Then Run gives nil.
func Run(ctx context.Context, log *slog.Logger, c Config) error {
	first := os.Getpid() == 1
	if !first {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("run %s: become subreaper: %w", c.Name, err)
		}
	}
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return fmt.Errorf("run %s: %w", c.Name, err)
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	r := startReaper()
	defer r.stop()
	s := &supervisor{config: c, log: log.With("daemon", c.Name), reaper: r, file: filepath.Join(c.StateDir, c.Name+".json")}
	err := s.run(ctx)
	if first {
		endOthers(log)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Name, err)
	}
	return nil
}

// supervisor keeps one daemon running.
type supervisor struct {
	config Config
	log    *slog.Logger
	reaper *reaper
	file   string
}

func (s *supervisor) spec() proc.Spec {
	log := s.config.Log
	if log == "" {
		log = proc.Inherit
	}
	return proc.Spec{Name: s.config.Name, Path: s.config.Path, Args: s.config.Args, Env: s.config.Env, Log: log}
}

// run starts the daemon again and again until ctx ends, and then ends it.
func (s *supervisor) run(ctx context.Context) error {
	var pauses pauses
	for ctx.Err() == nil {
		begin := time.Now()
		p, err := s.start()
		if err != nil {
			s.log.Error("daemon does not start", "err", err)
		} else {
			select {
			case <-p.Done():
				s.log.Warn("daemon ended", "pid", p.PID(), "outcome", s.reaper.outcome(p))
			case <-ctx.Done():
				err := s.end(p)
				p.Release()
				return err
			}
			p.Release()
		}
		wait(ctx, pauses.next(time.Since(begin)))
	}
	return nil
}

// start takes over the daemon that an earlier run has left, if it is as it should be, else starts one.
func (s *supervisor) start() (*proc.Process, error) {
	p, found, err := proc.Adopt(s.file)
	if err != nil {
		return nil, err
	}
	if found && p.Matches(s.spec()) {
		s.log.Info("daemon was running", "pid", p.PID())
		return p, nil
	}
	if found {
		err := s.end(p)
		p.Release()
		if err != nil {
			return nil, err
		}
	}
	p, err = proc.Start(s.file, s.spec())
	if err != nil {
		return nil, err
	}
	s.log.Info("daemon started", "pid", p.PID())
	return p, nil
}

// end ends the daemon and what it has started without detaching it.
func (s *supervisor) end(p *proc.Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*daemonGrace)
	defer cancel()
	return p.KillSession(ctx, daemonGrace)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// pauses gives the pause before each next start.
type pauses struct{ last time.Duration }

// next doubles the pause from 100 ms to 10 s, and begins anew after a daemon that has run for 30 s.
func (p *pauses) next(ran time.Duration) time.Duration {
	const shortest, longest, healthy = 100 * time.Millisecond, 10 * time.Second, 30 * time.Second
	if ran >= healthy {
		p.last = 0
	}
	p.last = min(max(2*p.last, shortest), longest)
	return p.last
}
