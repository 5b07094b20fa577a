// Package life holds the lives of nodes and of operations, each as one table from × event → to.
//
// It is pure: it must not know the database, clouds, clocks or callers. The store asks it before it writes a state, so
// that no other part of the director can invent one.
package life

import "errors"

// ErrTransition is wrapped by the error about an event that the present state does not allow.
var ErrTransition = errors.New("not allowed in this state")
