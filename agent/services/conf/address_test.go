package conf

import (
	"net/netip"
	"strings"
	"testing"

	"conpaas/agent/service"
)

// A manager can have a role listen at its machine's own address alone.
func TestCheckListen(t *testing.T) {
	own := netip.MustParseAddr("172.16.0.1")
	for _, c := range []struct {
		address string
		active  bool
		says    string
	}{
		{"172.16.0.1:80", true, ""},
		{"172.16.0.1:80", false, ""},
		{"172.16.0.2:80", true, "this node's address is 172.16.0.1"},
		{"172.16.0.2:80", false, "this machine has no network with the others"},
		{"172.16.0.1:0", true, "is no IPv4 address with a port"},
		{"0.0.0.0:80", true, "is no IPv4 address with a port"},
		{"[fe80::1%x]:80", true, "is no IPv4 address with a port"},
	} {
		err := CheckListen(netip.MustParseAddrPort(c.address), service.Node{Address: own, Active: c.active})
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s, active %t: %v; want %q", c.address, c.active, err, c.says)
		}
	}
	if err := CheckListen(netip.AddrPort{}, service.Node{Address: own}); err == nil {
		t.Error("no address is let through")
	}
}
