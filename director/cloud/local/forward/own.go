package forward

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon/proc"
)

const (
	endTime    = 5 * time.Second      // that a forwarder has to end by itself
	patience   = 20 * time.Second     // that it has to take a list
	answerLook = 3 * time.Millisecond // between two looks at its answer
)

// Own is the forwarder of a directory: a process that goes on when the director ends, and that is there as long as there
// is something to publish. It is for one goroutine at a time.
type Own struct {
	Log      *slog.Logger
	Program  string                   // path of cpsdirector
	Dir      string                   // the forwarder's own; it is made and removed
	Network  func() (*os.File, error) // opens the network namespace of the targets
	Patience time.Duration            // that the process has to answer; 20 s when zero
	Place    func(string)             // called with the name of each place where a crash must do no harm

	process *proc.Process // nil until it is needed
}

func (o *Own) at(name string) string { return filepath.Join(o.Dir, name) }

// Serve makes the process publish exactly this and waits until it does. What it cannot listen on is in the answer; it goes
// on trying, and another Serve asks again. A process that runs goes on with its connections, also of an older version; one
// that dials in another namespace is replaced. Where there is nothing to publish, there is no process. An error is
// transient: a repeated Serve goes on.
func (o *Own) Serve(ctx context.Context, wanted []Publication) (Failures, error) {
	if err := o.adopt(); err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		return nil, o.end(ctx)
	}
	space, err := o.Network()
	if err != nil {
		return nil, fmt.Errorf("publish: open the cloud's network: %w", err)
	}
	defer space.Close()
	here, err := inode(space)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	now := o.answered()
	alive := o.process != nil && o.process.Alive()
	if o.process != nil && !alive {
		o.Log.Error("the forwarder has ended; it is started again", "outcome", o.process.Outcome())
	}
	if alive && now.Network != here {
		o.Log.Info("the forwarder is started again, for the cloud's network is a new one")
		if err := o.process.KillSession(ctx, endTime); err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		alive = false
	}
	var l list
	if err := read(o.at(listFile), &l); err != nil {
		return nil, err
	}
	if !slices.Equal(l.Publications, wanted) || now.Mark == l.Mark && len(now.Failed) > 0 {
		l = list{Mark: rand.Text(), Publications: wanted}
		if err := errors.Join(os.MkdirAll(o.Dir, 0o700), write(o.at(listFile), l)); err != nil {
			return nil, err
		}
		o.Place("forward:listed")
	}
	switch {
	case !alive:
		if err := o.start(space); err != nil {
			return nil, err
		}
		o.Place("forward:started")
	case now.Mark != l.Mark:
		if err := o.process.Signal(unix.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return nil, fmt.Errorf("publish: %w", err)
		}
	}
	return o.await(ctx, l.Mark)
}

// adopt finds the process of a former director.
func (o *Own) adopt() error {
	if o.process != nil {
		return nil
	}
	process, _, err := proc.Adopt(o.at(processFile))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	o.process = process
	return nil
}

// answered gives the last answer, none where it cannot be read.
func (o *Own) answered() (now answer) {
	if read(o.at(answerFile), &now) != nil {
		return answer{}
	}
	return now
}

func (o *Own) start(space *os.File) (err error) {
	o.Release()
	if err := os.Remove(o.at(answerFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("publish: %w", err)
	}
	o.process, err = proc.Start(o.at(processFile), proc.Spec{
		Name: "forwarder", Path: o.Program, Log: o.at(logFile), Env: []string{"GOMEMLIMIT=128MiB"},
		Args: []string{"cloud", "forward", "--dir", o.Dir}, Files: []*os.File{space},
	})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	o.Log.Info("the forwarder is started", "pid", o.process.PID())
	return nil
}

// await waits until the process has taken the list with a mark. One that says nothing is ended.
func (o *Own) await(ctx context.Context, mark string) (Failures, error) {
	tick := time.NewTicker(answerLook)
	defer tick.Stop()
	limit := time.NewTimer(cmp.Or(o.Patience, patience))
	defer limit.Stop()
	for {
		if now := o.answered(); now.Mark == mark {
			return now.Failed, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("publish: %w", ctx.Err())
		case <-o.process.Done():
			return nil, fmt.Errorf("publish: the forwarder, process %d, has ended; %s tells why", o.process.PID(), o.at(logFile))
		case <-limit.C:
			err := fmt.Errorf("publish: the forwarder, process %d, does not answer and is ended", o.process.PID())
			return nil, errors.Join(err, o.process.KillSession(ctx, 0))
		}
	}
}

// end ends the process and removes the directory.
func (o *Own) end(ctx context.Context) error {
	if o.process != nil {
		if err := o.process.KillSession(ctx, endTime); err != nil {
			return fmt.Errorf("end the forwarder: %w", err)
		}
		o.Release()
		o.Place("forward:ended")
	}
	if err := os.RemoveAll(o.Dir); err != nil {
		return fmt.Errorf("end the forwarder: %w", err)
	}
	return nil
}

// Ended is closed when the process ends; nil while there is none.
func (o *Own) Ended() <-chan struct{} {
	if o.process == nil {
		return nil
	}
	return o.process.Done()
}

// Release lets go of the process, which goes on.
func (o *Own) Release() {
	if o.process != nil {
		o.process.Release()
		o.process = nil
	}
}

// Stop ends the forwarder of a directory, and gives its process id; 0 where none runs.
func Stop(ctx context.Context, dir string) (pid int, err error) {
	process, alive, err := proc.Adopt(filepath.Join(dir, processFile))
	if err == nil && alive {
		pid = process.PID()
		err = process.KillSession(ctx, endTime)
		process.Release()
	}
	if err != nil {
		return pid, fmt.Errorf("end the forwarder: %w", err)
	}
	return pid, nil
}
