// Package daemon is what all programs share at their start: logger, signals, version, atomic files and the undo stack.
//
// It must not know what any program does, nor HTTP, databases or clouds.
package daemon

// Version is the version of the code, set by the linker: -ldflags "-X conpaas/client/daemon.Version=1.2.3".
var Version = "dev"
