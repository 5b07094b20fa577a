package mysql

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/client/api"
)

// hostile are texts that break out of badly made configurations.
var hostile = []string{
	"", " ", "x y", "x;", "x\ny", "x\r\ny", "x#y", `x"y`, "x'y", `x\y`, "$x", "${x}", "../x", "x\x00y", "\xff", "ü", "[mariadbd]", "=", "x,y", strings.Repeat("x", 100_000),
}

func good() (service.Node, api.MySQLConfig, api.MySQLProxyConfig) {
	own := netip.MustParseAddr("10.0.0.1")
	n := service.Node{ID: "n1", Service: "db", Address: own, Active: true}
	server := api.MySQLConfig{
		Cluster: "conpaas-1", Listen: netip.AddrPortFrom(own, 3307), Check: netip.AddrPortFrom(own, 9200),
		Members: []netip.Addr{own, netip.MustParseAddr("10.0.0.2")}, Password: "secret",
	}
	proxy := api.MySQLProxyConfig{
		Listen: netip.AddrPortFrom(own, 3306), Check: 9200, Servers: []api.Server{{Node: "n2", Address: netip.MustParseAddrPort("10.0.0.2:3307")}},
	}
	return n, server, proxy
}

func refused(n service.Node, r api.Role, config any) error {
	data, _ := json.Marshal(config)
	var found error
	decodeAll([]api.RoleSpec{{Role: r, Config: data}}, n, func(_ api.Role, err error) { found = err })
	return found
}

func TestHostileValuesAreRefused(t *testing.T) {
	n, server, proxy := good()
	if err := refused(n, api.RoleMySQL, server); err != nil {
		t.Fatal(err)
	}
	if err := refused(n, api.RoleGLB, proxy); err != nil {
		t.Fatal(err)
	}
	other, any4 := netip.MustParseAddr("10.0.0.9"), netip.IPv4Unspecified()
	zone := netip.MustParseAddr("fe80::1%x\ny")
	for i, change := range []func(*api.MySQLConfig){
		func(c *api.MySQLConfig) { c.Listen = netip.AddrPortFrom(other, 3307) },
		func(c *api.MySQLConfig) { c.Check = netip.AddrPortFrom(any4, 9200) },
		func(c *api.MySQLConfig) { c.Listen = netip.AddrPortFrom(c.Listen.Addr(), 0) },
		func(c *api.MySQLConfig) { c.Members = nil }, // it would begin a cluster
		func(c *api.MySQLConfig) { c.Members = []netip.Addr{other} },
		func(c *api.MySQLConfig) { c.Members = append(c.Members, zone) },
		func(c *api.MySQLConfig) { c.Bootstrap = 1 },
		func(c *api.MySQLConfig) { c.Bootstrap, c.From = 1, "x" },
		func(c *api.MySQLConfig) { c.Password = "" },
		func(c *api.MySQLConfig) { c.Password = "a\nb" },
		func(c *api.MySQLConfig) { c.Settings = map[string]string{"max_connections": "5"} },
		func(c *api.MySQLConfig) { c.Settings = map[string]string{"max_allowed_packet": "2G"} },
		func(c *api.MySQLConfig) { c.Settings = map[string]string{"innodb_buffer_pool_size": "9999999999G"} },
		func(c *api.MySQLConfig) { c.Settings = map[string]string{"slow_query_log": "yes"} },
	} {
		_, c, _ := good()
		change(&c)
		if err := refused(n, api.RoleMySQL, c); err == nil {
			t.Errorf("change %d is let through: %+v", i, c)
		}
	}
	for _, text := range hostile {
		_, c, p := good()
		c.Cluster = text
		p.Servers[0].Node = api.NodeID(text)
		bad := n
		bad.ID = api.NodeID(text)
		for what, err := range map[string]error{"cluster": refused(n, api.RoleMySQL, c), "server": refused(n, api.RoleGLB, p), "node": refused(bad, api.RoleMySQL, server)} {
			if err == nil && text != "x" || err != nil && len(err.Error()) > 600 {
				t.Errorf("%s %.40q: %v", what, text, err)
			}
		}
	}
	if err := refused(n, "other", server); err == nil {
		t.Error("an unknown role is let through")
	}
}

// No list of members begins a cluster by itself, and no secret is in a file.
func TestRenderedServer(t *testing.T) {
	n, server, _ := good()
	h := hosttest.New(t)
	text, err := renderServer(h, paths{volume: stateDir + "/volume", run: "/run/x"}, n, server, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"wsrep_cluster_address = gcomm://10.0.0.1,10.0.0.2\n", "bind-address = 10.0.0.1\nport = 3307\n", "innodb_buffer_pool_size = 134217728\n", "pc.recovery=FALSE", "innodb_flush_log_at_trx_commit = 1\n", "skip-name-resolve\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("my.cnf lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "secret\n") || strings.Contains(string(text), "= secret") {
		t.Error("my.cnf has the password")
	}
	if got := fmt.Sprint(nativeHash("password")); got != "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19" {
		t.Errorf("the hash is %s", got)
	}
}
