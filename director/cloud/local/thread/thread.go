// Package thread runs functions on threads whose namespaces may be changed.
//
// It knows nothing of namespaces. No goroutine ever runs on such a thread afterwards: it dies with the function.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f on a thread of its own that dies with f's end. The main thread cannot die, and /proc/self is what it sees, so
// it is never the one: while it is held here, the work runs on another.
func Do(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			result <- f() // the thread stays locked: it ends with this goroutine
			return
		}
		defer runtime.UnlockOSThread()
		result <- Do(f)
	}()
	return <-result
}
