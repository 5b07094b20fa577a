package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrRunning is wrapped by the error of Start when the program of the state file is alive.
var ErrRunning = errors.New("it is running")

// Process is a detached program: one that Start has started, or that Adopt has found again. Release it in the end.
type Process struct {
	stateFile string
	state     state
	handle    *os.File // a pidfd: it cannot come to mean another process
	child     bool     // started by this process, which has to reap it
	done      chan struct{}
	watching  sync.WaitGroup
	stop      context.CancelFunc

	mu      sync.Mutex
	outcome string
}

// state is what is kept on disk of a process. Before it is started PID is 0: a starter that dies in between leaves only
// the mark in the program's environment to find it by.
type state struct {
	PID     int    `json:"pid"`
	Start   uint64 `json:"start"`    // clock ticks between the boot of the kernel and its start
	BootID  string `json:"boot_id"`  // of the machine: pids and ticks say nothing after a reboot
	Mark    string `json:"mark"`     // value of markName in its environment
	Spec    string `json:"spec"`     // hash of its Spec
	LogFile string `json:"log_file"` // of its Spec, for rotation after an adoption
}

// Adopt finds the program of a state file again. It is false, without an error, where there is no such file, or where the
// program is not alive any more; what it may have left of its session is then ended by the next Start.
func Adopt(stateFile string) (*Process, bool, error) {
	s, err := readState(stateFile)
	if err != nil || s == nil {
		return nil, false, err
	}
	p, err := attach(stateFile, *s)
	if err != nil || p == nil {
		return nil, false, err
	}
	p.watch()
	return p, true, nil
}

// readState reads a state file; nil where there is none, or it is from before the last reboot.
func readState(stateFile string) (*state, error) {
	text, err := os.ReadFile(stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		if older, statErr := olderThanBoot(stateFile); statErr == nil && older {
			return nil, nil // the power was lost before it was on disk
		}
		return nil, fmt.Errorf("adopt: %s is damaged, end its program by hand and remove the file: %w", stateFile, err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", err)
	}
	if s.BootID != boot {
		return nil, nil
	}
	return &s, nil
}

// attach takes hold of the process of a state; nil where it is not alive.
func attach(stateFile string, s state) (*Process, error) {
	if s.PID == 0 {
		leader, err := findMarked(s.Mark)
		if err != nil || leader == nil {
			return nil, err
		}
		s.PID, s.Start = leader.pid, leader.start
	}
	fd, err := unix.PidfdOpen(s.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("adopt process %d: %w", s.PID, err)
	}
	p := &Process{
		stateFile: stateFile, state: s, handle: os.NewFile(uintptr(fd), "pidfd"), done: make(chan struct{}),
	}
	// The start time is read after the handle is there: then the handle is of the process that it belongs to, or of none.
	if !p.Alive() {
		p.handle.Close()
		return nil, nil
	}
	return p, nil
}

// PID gives the process id, which is also the id of its session.
func (p *Process) PID() int { return p.state.PID }

// Alive tells whether the program runs: a zombie does not, nor does another process that has got its id.
func (p *Process) Alive() bool {
	now, err := readStat(p.state.PID)
	return err == nil && now.alive() && now.start == p.state.Start
}

// Done is closed when the program has ended. After Release it may stay open.
func (p *Process) Done() <-chan struct{} { return p.done }

// Outcome says how the program has ended, for example "exit status 1". It is "" as long as it runs, and for a program that
// was adopted: only its parent learns that.
func (p *Process) Outcome() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outcome
}

// Matches tells whether the program was started from a Spec like s.
func (p *Process) Matches(s Spec) bool { return p.state.Spec == s.hash() }

// Signal sends a signal to the program alone. To one that has ended it is os.ErrProcessDone.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Alive() { // a zombie would take it
		return fmt.Errorf("signal process %d: %w", p.state.PID, os.ErrProcessDone)
	}
	var err error
	raw, lost := p.handle.SyscallConn()
	if lost == nil {
		lost = raw.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	}
	switch err = errors.Join(lost, err); {
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("signal process %d: %w", p.state.PID, os.ErrProcessDone)
	case err != nil:
		return fmt.Errorf("signal process %d: %w", p.state.PID, err)
	}
	return nil
}

// SignalGroup sends a signal to the program and to those that it has started and that have not left its group. To a program that
// has ended it is os.ErrProcessDone.
func (p *Process) SignalGroup(sig syscall.Signal) error {
	if !p.Alive() {
		return fmt.Errorf("signal the group of process %d: %w", p.state.PID, os.ErrProcessDone)
	}
	// The id is no other group's as long as the group has a process.
	if err := unix.Kill(-p.state.PID, sig); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal the group of process %d: %w", p.state.PID, err)
	}
	return nil
}

// Release stops watching the program and leaves it running. No other method but PID, Alive, Matches and Outcome may be
// used after it.
func (p *Process) Release() {
	p.stop()
	p.handle.Close()
	p.watching.Wait()
}

// watch waits for the end of the program and keeps its log from growing.
func (p *Process) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.watching.Go(func() {
		defer cancel()
		if p.await() {
			p.reap()
			close(p.done)
		}
	})
	if p.state.LogFile == "" || p.state.LogFile == Inherit {
		return
	}
	p.watching.Go(func() {
		tick := time.NewTicker(rotateEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				Rotate(p.state.LogFile)
			}
		}
	})
}

// await blocks until the program has ended; false when it was released first. No thread is blocked: the handle becomes
// readable at the end, which the runtime waits for.
func (p *Process) await() bool {
	raw, err := p.handle.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		return err == nil && n == 1
	})
	return err == nil
}

// reap takes the exit status of a child, so that it does not stay as a zombie.
func (p *Process) reap() {
	if !p.child {
		return
	}
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(p.state.PID, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid != p.state.PID {
			return // somebody else has reaped it, as a PID 1 does
		}
		break
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if status.Signaled() {
		p.outcome = "signal: " + status.Signal().String()
	} else {
		p.outcome = fmt.Sprintf("exit status %d", status.ExitStatus())
	}
}
