// Package wg brings up a node's WireGuard device and keeps its peers as it is told, with the kernel's data
// plane or the userspace one in a process of its own. Both are configured by the same calls.
//
// It knows devices, addresses, routes and peers. It knows nothing of nodes, managers or the API, does not
// choose paths (package path does) and never decides whom to trust.
package wg
