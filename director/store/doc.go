// Package store keeps everything that the director must not forget, in one SQLite database inside one directory:
// users, keys, certificates, applications, services, nodes, operations and events.
//
// It is the only package that knows gorm and SQL. Its types are its own; it must not know HTTP, clouds or certificates'
// contents, and it decides nothing beyond what keeps its rows consistent: unique names and addresses, ids that are never
// reused, the table of lives (package life), limits that must be checked in the transaction that reserves.
//
// Reading is Store.View, writing is Store.Update; both hand a value to a function that must use nothing else of the Store
// until it returns (a nested call would wait for itself).
package store
