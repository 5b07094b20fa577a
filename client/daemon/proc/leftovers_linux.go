package proc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// leftoverTime bounds the wait for killed processes; longer ones hang in the kernel.
const leftoverTime = 10 * time.Second

// EndLeftovers ends what the dead program of a state file has left of its session, and removes the file. Without a file
// there is nothing to end. Where the program itself is alive the error wraps ErrRunning.
func EndLeftovers(ctx context.Context, stateFile string) error {
	if err := clearAway(ctx, stateFile); err != nil {
		return fmt.Errorf("end leftovers: %w", err)
	}
	if err := os.Remove(stateFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end leftovers: %w", err)
	}
	return nil
}

// clearAway ends what an earlier program has left.
func clearAway(ctx context.Context, stateFile string) error {
	old, err := readState(stateFile)
	if err != nil || old == nil {
		return err
	}
	running, err := attach(stateFile, *old)
	if err != nil {
		return err
	}
	if running != nil {
		running.handle.Close()
		return fmt.Errorf("%w as process %d", ErrRunning, running.PID())
	}
	ctx, cancel := context.WithTimeout(ctx, leftoverTime)
	defer cancel()
	return old.killAll(ctx)
}

// EndSession kills every process of the session of a leader that the caller has started and not yet reaped, the leader
// included, and waits until none is left but those that wait to be reaped, 10 s at most.
func EndSession(leader int) error {
	session := state{PID: leader}
	if now, err := readStat(leader); err == nil {
		session.Start = now.start
	} // else somebody has reaped it: no process gets an id that still is a session's
	ctx, cancel := context.WithTimeout(context.Background(), leftoverTime)
	defer cancel()
	return session.killAll(ctx)
}
