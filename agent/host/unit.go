package host

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"conpaas/client/daemon/proc"
)

// Delays between the end of a program and its next start. One that ran for longer than steadyTime begins anew.
const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = 30 * time.Second
	steadyTime = 30 * time.Second
)

// stopAgain is the time after which a program that goes on is asked again to end: HAProxy for one does not hear of it while it starts.
const stopAgain = time.Second

// unit is one program of a supervisor and the goroutine that watches it.
type unit struct {
	s    *Supervisor
	name string // of the program
	file string // of proc

	op      sync.Mutex         // one ensure, end or release at a time
	watch   context.CancelFunc // nil while nothing watches
	watched chan struct{}      // closed when the watching has ended

	// Under s.mu:
	program Program
	process *proc.Process // nil while it does not run
	state   ProgramState
	asked   bool // ensure has been called since the unit was made
}

func (u *unit) ensure(ctx context.Context, p Program) error {
	u.op.Lock()
	defer u.op.Unlock()
	old, process := u.now()
	if u.watch != nil && (reflect.DeepEqual(old, p) || p.Keep && process != nil) {
		u.plan(p)
		return nil
	}
	u.unwatch()
	process, adopted, err := u.take(ctx, p)
	if err != nil {
		u.record(process, func(st *ProgramState) { st.Error = err.Error() })
		return err
	}
	u.plan(p)
	u.record(process, func(st *ProgramState) { *st = ProgramState{Name: p.Name, Adopted: adopted} })
	u.start(process)
	return nil
}

// take gives a running process of the program: the one that runs, where it is the same or is to be kept, else a
// new one in its place. With an error it gives the one that still runs.
func (u *unit) take(ctx context.Context, p Program) (process *proc.Process, adopted bool, err error) {
	spec := u.s.spec(p)
	process, err = u.find()
	if err != nil {
		return nil, false, err
	}
	if process != nil && (p.Keep || process.Matches(spec)) {
		return process, true, nil
	}
	if process != nil {
		if err := kill(ctx, process, p); err != nil {
			return process, false, err
		}
	}
	process, err = proc.Start(u.file, spec)
	return process, false, err
}

// find gives the process that runs, one of an earlier agent included; nil for none.
func (u *unit) find() (*proc.Process, error) {
	if _, process := u.now(); process != nil {
		return process, nil
	}
	process, alive, err := proc.Adopt(u.file)
	if err != nil || !alive {
		return nil, err
	}
	return process, nil
}

// kill ends the whole session, since what the first process leaves behind may hold the ports of the next.
func kill(ctx context.Context, process *proc.Process, p Program) error {
	if err := killSession(ctx, process, p); err != nil {
		return err
	}
	process.Release()
	return nil
}

func killSession(ctx context.Context, process *proc.Process, p Program) error {
	if p.Stop != 0 {
		timer, again := time.NewTimer(grace(p)), time.NewTicker(stopAgain)
		defer timer.Stop()
		defer again.Stop()
		for ended := false; !ended; {
			// The error is of a process that has just ended, which the next step finds.
			_ = process.Signal(p.Stop)
			select {
			case <-again.C:
			case <-process.Done():
				ended = true
			case <-timer.C:
				ended = true
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return process.KillSession(ctx, 0)
	}
	return process.KillSession(ctx, grace(p))
}

func grace(p Program) time.Duration {
	if p.Grace == 0 {
		return defaultGrace
	}
	return p.Grace
}

// start begins to watch a process.
func (u *unit) start(process *proc.Process) {
	ctx, cancel := context.WithCancel(context.Background())
	u.watch, u.watched = cancel, make(chan struct{})
	done := u.watched
	go func() {
		defer close(done)
		u.keep(ctx, process)
	}()
}

// keep starts the program again whenever it ends, until ctx does.
func (u *unit) keep(ctx context.Context, process *proc.Process) {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = firstDelay, lastDelay
	for {
		if process != nil {
			began := time.Now()
			select {
			case <-ctx.Done():
				return
			case <-process.Done():
			}
			if time.Since(began) > steadyTime {
				delays.Reset()
			}
			if err := u.bury(ctx, process); err != nil {
				return
			}
		}
		timer := time.NewTimer(delays.NextBackOff())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		process = u.again()
	}
}

// bury ends what a process that has ended leaves of its session. It fails only when ctx ends.
func (u *unit) bury(ctx context.Context, process *proc.Process) error {
	outcome := process.Outcome()
	u.s.log.Warn("program ended", "program", u.name, "pid", process.PID(), "outcome", outcome)
	u.record(process, func(st *ProgramState) { st.Restarts, st.Error = st.Restarts+1, outcome })
	for {
		err := process.KillSession(ctx, 0)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		u.s.log.Warn("session of an ended program goes on", "program", u.name, "pid", process.PID(), "err", err)
	}
	process.Release()
	u.record(nil, func(*ProgramState) {})
	return nil
}

// again starts the program as it was last asked for; nil when that does not work.
func (u *unit) again() *proc.Process {
	p, _ := u.now()
	process, err := proc.Start(u.file, u.s.spec(p))
	if err != nil {
		u.s.log.Warn("program cannot be started", "program", p.Name, "err", err)
		u.record(nil, func(st *ProgramState) { st.Error = err.Error() })
		return nil
	}
	u.record(process, func(st *ProgramState) { st.Error = "" })
	return process
}

// unwatch ends the watching and leaves the program as it is.
func (u *unit) unwatch() {
	if u.watch != nil {
		u.watch()
		<-u.watched
		u.watch = nil
	}
}

func (u *unit) end(ctx context.Context) error {
	u.op.Lock()
	defer u.op.Unlock()
	u.unwatch()
	process, err := u.find()
	if err != nil {
		return err
	}
	p, _ := u.now()
	if process == nil {
		err = proc.EndLeftovers(ctx, u.file)
	} else {
		err = kill(ctx, process, p)
	}
	if err != nil {
		return err
	}
	u.record(nil, func(st *ProgramState) { *st = ProgramState{Name: st.Name} })
	return nil
}

func (u *unit) release() {
	u.op.Lock()
	defer u.op.Unlock()
	u.unwatch()
	if _, process := u.now(); process != nil {
		process.Release()
		u.s.mu.Lock()
		u.process = nil // whoever needs it again adopts it
		u.s.mu.Unlock()
	}
}

func (u *unit) signal(signal syscall.Signal) error {
	_, process := u.now()
	if process == nil {
		return errors.New("it does not run")
	}
	return process.Signal(signal)
}

func (u *unit) now() (Program, *proc.Process) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	return u.program, u.process
}

// plan says what to start the next time.
func (u *unit) plan(p Program) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	u.program = p
}

// record notes the process that runs, nil for none, and what else has changed, and tells who waits for it.
func (u *unit) record(process *proc.Process, change func(*ProgramState)) {
	u.s.mu.Lock()
	change(&u.state)
	u.process, u.asked = process, true
	u.state.PID = 0
	if process != nil && process.Alive() {
		u.state.PID = process.PID()
	}
	u.state.Since = time.Now() // with its monotonic reading: how long it has run is not moved by a clock that is set
	u.s.mu.Unlock()
	u.s.notify()
}
