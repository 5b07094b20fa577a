// Package pid1 is the first program of a machine: it reaps orphans and keeps one daemon running. Linux only.
//
// It must not know what the daemon does, and never touches the programs that the daemon has detached.
package pid1
