package daemon

import (
	"errors"
	"fmt"
	"slices"
)

// Undo collects how to take back what has been done so far, for work that makes several things of which none may stay
// alone:
//
//	var undo daemon.Undo
//	defer func() { err = errors.Join(err, undo.Run()) }()
//	… make a; undo.Add("a", removeA); make b …
//	undo.Keep()
//
// The zero Undo is ready. It is for one goroutine.
type Undo struct {
	steps []step
}

type step struct {
	name string
	run  func() error
}

// Add puts one step on the stack. The name says in an error what could not be taken back.
func (u *Undo) Add(name string, f func() error) { u.steps = append(u.steps, step{name, f}) }

// Keep forgets all steps: what was made stays.
func (u *Undo) Keep() { u.steps = nil }

// Run does all steps, the newest first, and forgets them. A step that goes wrong does not keep the others from running;
// the errors are joined.
func (u *Undo) Run() error {
	steps := u.steps
	u.steps = nil
	var errs []error
	for _, s := range slices.Backward(steps) {
		if err := s.run(); err != nil {
			errs = append(errs, fmt.Errorf("undo %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}
