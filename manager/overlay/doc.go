//go:build linux

// Package overlay is the manager's own end of the application's overlay network: the device, its peers and their
// paths, and the relay for nodes that do not reach each other.
//
// The process that carries the datagrams and the relay are programs of their own (`cpsmanager overlay`, `cpsmanager relay`)
// that outlive the manager, so that restarting or upgrading it loses no packet. The package knows packages vpn and
// client/daemon/proc. It knows nothing of specs, plans, agents or the director.
package overlay
