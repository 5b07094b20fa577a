// Package e2e holds only tests: stories told with the real programs on the local cloud, faults, and the rules
// of the architecture. It may drive everything and nothing imports it.
package e2e
