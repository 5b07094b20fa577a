// Package wgtest makes small networks for tests: network namespaces with bridges and firewalls in them, and
// overlay nodes whose device process is the test binary run once more. It needs root (or a user namespace
// with CAP_NET_ADMIN) and /dev/net/tun, and fails the test with the reason where they are missing. Nothing
// it makes touches the host's own network. It knows nothing of what is tested with it.
package wgtest
