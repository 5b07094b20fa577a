// Package wire is both ends of HTTP between the parts of ConPaaS: the typed server, the client, streams, and the tunnel
// through which a parent calls a child that has dialled it.
//
// It must not know what any route means, nor databases, clouds or the command line: it carries the types of client/api.
package wire
