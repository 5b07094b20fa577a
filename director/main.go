// Command cpsdirector runs a ConPaaS installation: users, certificates, clouds, applications and their machines.
package main

import (
	"os"
	"runtime"

	"conpaas/director/command"
)

// The local cloud enters network namespaces on threads that end afterwards. The main thread must never be one of
// them: it would take the whole process along in /proc/self.
func init() { runtime.LockOSThread() }

func main() { os.Exit(command.Main()) }
