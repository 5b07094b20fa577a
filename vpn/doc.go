// Package vpn plans the overlay network of one application: which partition of the network belongs to
// which service, which address a node has, and what changes between two lists of peers.
//
// It is arithmetic only. It knows nothing of sockets, devices, files or the API's types; the packages
// below it (wg, probe, path, relay) do the work on a machine.
package vpn
