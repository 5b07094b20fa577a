package helloworld

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"conpaas/agent/service"
	"conpaas/client/api"
)

var (
	machine = service.Node{ID: "n2", Service: "hello", Address: netip.MustParseAddr("172.16.0.1"), Active: true}
	process = service.Node{ID: "n2", Service: "hello", Address: netip.MustParseAddr("127.4.0.2")}
)

func encode(t testing.TB, c api.HelloworldConfig) api.RawJSON {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestListens(t *testing.T) {
	for _, c := range []struct {
		name    string
		node    service.Node
		port    uint16
		outside uint16
		want    string
	}{
		{"overlay only", machine, 80, 0, "172.16.0.1:80"},
		{"another port outside", machine, 80, 8080, "172.16.0.1:80 0.0.0.0:8080"},
		{"the same port outside", machine, 80, 80, "0.0.0.0:80"},
		{"process", process, 80, 0, "127.4.0.2:80"},
		{"process, the same port outside", process, 80, 80, "127.4.0.2:80"},
		{"process, another port outside", process, 80, 8080, "127.4.0.2:80 127.4.0.2:8080"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decode(encode(t, api.HelloworldConfig{Node: "n2", Listen: netip.AddrPortFrom(machine.Address, c.port), Outside: c.outside}), c.node)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, l := range got.listen {
				texts = append(texts, l.String())
			}
			if joined := strings.Join(texts, " "); joined != c.want {
				t.Errorf("listens on %s; want %s", joined, c.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := api.HelloworldConfig{Greeting: "hi", Node: "n2", Listen: netip.MustParseAddrPort("172.16.0.1:80")}
	if _, err := decode(encode(t, good), machine); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*api.HelloworldConfig){
		"long greeting":   func(c *api.HelloworldConfig) { c.Greeting = strings.Repeat("x", maxGreeting+1) },
		"another node":    func(c *api.HelloworldConfig) { c.Node = "n3" },
		"no listen":       func(c *api.HelloworldConfig) { c.Listen = netip.AddrPort{} },
		"no port":         func(c *api.HelloworldConfig) { c.Listen = netip.MustParseAddrPort("172.16.0.1:0") },
		"another address": func(c *api.HelloworldConfig) { c.Listen = netip.MustParseAddrPort("0.0.0.0:80") },
	} {
		c := good
		change(&c)
		if _, err := decode(encode(t, c), machine); err == nil {
			t.Errorf("%s was let through", name)
		}
	}
	for _, text := range []string{"", "{", "[]", `{"listen":"x"}`, `{"greeting":1}`} {
		if _, err := decode(api.RawJSON(text), machine); err == nil {
			t.Errorf("%q was let through", text)
		}
	}
}

// hostile are texts that break out of badly made pages and configurations.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title></head>`, `'; return 200 "x"; #`, "a\nlisten 0.0.0.0:1;", `$host`, `{{.}}`, "\x00", `&lt;`,
}

func TestPageEscapes(t *testing.T) {
	for _, text := range hostile {
		got, err := decode(encode(t, api.HelloworldConfig{Greeting: text, Node: "n2", Listen: netip.MustParseAddrPort("172.16.0.1:80")}), machine)
		if err != nil {
			t.Errorf("greeting %q: %v", text, err)
			continue
		}
		plain, err := decode(encode(t, api.HelloworldConfig{Node: "n2", Listen: netip.MustParseAddrPort("172.16.0.1:80")}), machine)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []string{"<", ">"} {
			if strings.Count(string(got.page), sign) != strings.Count(string(plain.page), sign) {
				t.Errorf("greeting %q adds a %s to the page:\n%s", text, sign, got.page)
			}
		}
	}
}

func TestRenderRefusesPathsThatAreMore(t *testing.T) {
	good := nginxValues{User: "www-data", Run: "/run/conpaas/helloworld", Page: "/var/lib/conpaas", Listen: []netip.AddrPort{netip.MustParseAddrPort("172.16.0.1:80")}}
	conf, mark, err := render(good)
	if err != nil || !strings.Contains(string(conf), "listen 172.16.0.1:80;") || strings.Count(string(conf), mark) != 2 {
		t.Fatalf("mark %q, %v:\n%s", mark, err, conf)
	}
	for _, text := range append(slices.Clone(hostile), "a b", "a;b", `a\b`) {
		bad := good
		bad.Run = "/" + text
		if conf, _, err := render(bad); err == nil {
			t.Errorf("path %q was let through:\n%s", bad.Run, conf)
		}
	}
	other := good
	other.Listen = []netip.AddrPort{netip.MustParseAddrPort("172.16.0.1:81")}
	if _, mark2, err := render(other); err != nil || mark2 == mark {
		t.Errorf("two configurations have the mark %q, %v", mark2, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"greeting":"hi","node":"n2","listen":"172.16.0.1:80","outside":80}`))
	f.Add([]byte(`{"listen":"[::1%eth0]:80"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, n := range []service.Node{machine, process} {
			c, err := decode(data, n)
			if err != nil {
				continue
			}
			for _, l := range c.listen {
				if a := l.Addr(); a != n.Address && !(n.Active && a == netip.IPv4Unspecified()) || l.Port() == 0 {
					t.Errorf("%q listens on %s", data, l)
				}
			}
		}
	})
}
