// Package local is the cloud of machines on the director's own host. A machine is a container run by runc (runtime
// container), or for tests and benchmarks a session of processes with a directory (runtime process).
//
// Everything of the network lives in a network namespace of the cloud: the bridge, the firewall, and the director's
// listener, which is made there. The host's own network is never touched; published ports are forwarded from 127.0.0.1, by
// a process (package forward) that outlives the director.
// All state is on disk, so that a director that is killed at any moment finds its machines again. Nothing falls back:
// what the host lacks is named by Check, and Launch refuses.
//
// A director that is root gives machines ids and control groups of their own. One of an ordinary user, which package
// userns brings into a user namespace, has neither; all that differs is in mode.go and keeper.go.
//
// The package knows nothing of applications, services, certificates or the director's database.
//
// A program that uses it must keep its main thread, which would otherwise be lost to other work when threads enter
// namespaces: its package main has
//
//	func init() { runtime.LockOSThread() }
//
// The process becomes a child subreaper (PR_SET_CHILD_SUBREAPER): it inherits the machines that it starts, and reaps
// them and nothing else.
package local
