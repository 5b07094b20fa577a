// Package app holds the director's use cases: users, applications, services, nodes, operations, the bootstrap
// of machines, and the worker that makes each application what its owner wants.
//
// It knows the store, the clouds and the typed client of managers; it knows nothing of HTTP routes or pages.
package app
