// Package app is the manager's work: it plans the machines of one application from what the director wants and
// what the agents report, tells each agent what its node is to be, and reports plans, health and states to the director.
//
// The thinking is in core, which is pure; Worker feeds it with events and carries out what it decides. The
// package knows the typed client of agents and the interface of service halves. It knows nothing of routes,
// command lines, clouds or WireGuard, and it holds nothing that cannot be lost: a manager on a fresh machine learns everything from the
// director and the agents.
package app
