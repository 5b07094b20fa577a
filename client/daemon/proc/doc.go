// Package proc runs detached programs: each in a session of its own, so that it outlives the daemon that started it and
// is adopted again by the next one, by process id and start time kept in a file. Linux only.
//
// It must not know what the programs are, nor when they ought to run: that is the supervisor's.
package proc
