package hosting

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/agent/services/code"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

// hostile are texts that break out of badly made configurations.
var hostile = []string{
	"", " ", "x y", "x;", "x\ny", "x\r\ny", "x#y", `x"y`, "x'y", `x\y`, "x}y", "x{y", "$x", "${x}", "%[env(PATH)]", "../x", "/etc/passwd", "x\x00y", "\xff", "ü", "[www]", "; x", "=", "&", "x&auth=y",
	"*", "on", "none", "code-", "code-12345", "code-1234567", "code-12345\n", "code-../../", "CODE-abcdef", strings.Repeat("x", 100_000),
}

var node = service.Node{ID: "n1", Service: "shop", Address: netip.MustParseAddr("127.0.0.1")}

// goodRoles are configurations that are let through; each call gives new ones.
func goodRoles() (api.HostingProxyConfig, api.HostingWebConfig, api.HostingBackendConfig) {
	listen := netip.MustParseAddrPort("127.0.0.1:9000")
	sessions := api.SessionsStore{Listen: listen, Password: "secret"}
	blob := api.CodeBlob{ID: "code-aaaaa1", SHA256: strings.Repeat("a", 64), Format: "zip"}
	server := api.Server{Node: "n2", Address: netip.MustParseAddrPort("10.0.0.1:80")}
	return api.HostingProxyConfig{Port: 80, Version: "code-aaaaa1", Webs: []api.Server{server}, Sessions: &sessions},
		api.HostingWebConfig{Listen: listen, Versions: []api.CodeBlob{blob}, Backends: []api.Server{server}},
		api.HostingBackendConfig{Listen: listen, Versions: []api.CodeBlob{blob}, Settings: map[string]string{}, Sessions: sessions}
}

func refusedBy(t *testing.T, r api.Role, config any) error {
	t.Helper()
	var found error
	newHalf().decodeAll([]api.RoleSpec{role(t, r, config)}, node, func(_ api.Role, err error) { found = err })
	return found
}

func TestHostileValuesAreRefused(t *testing.T) {
	a, b, c := goodRoles()
	for r, config := range map[api.Role]any{api.RoleProxy: a, api.RoleWeb: b, api.RoleBackend: c} {
		if err := refusedBy(t, r, config); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range hostile {
		t.Run(fmt.Sprintf("%.20q", text), func(t *testing.T) {
			proxy, web, _ := goodRoles()
			try := func(what string, r api.Role, config any) {
				t.Helper()
				if err := refusedBy(t, r, config); err == nil {
					t.Errorf("%s: let through", what)
				} else if len(err.Error()) > 600 {
					t.Errorf("%s: an error of %d bytes", what, len(err.Error()))
				}
			}
			proxy.Version = text
			try("version", api.RoleProxy, proxy)
			web.Versions[0].ID = text
			try("version of a web", api.RoleWeb, web)
			_, web, _ = goodRoles()
			web.Versions[0].SHA256 = text
			try("digest", api.RoleWeb, web)
			_, web, _ = goodRoles()
			web.Versions[0].Format = text
			try("format", api.RoleWeb, web)
			if text != "on" && text != "none" && text != "code-12345" && text != "code-1234567" && text != "CODE-abcdef" && text != "code-" {
				proxy.Webs[0].Node = api.NodeID(text)
				try("node", api.RoleProxy, proxy)
			}
			if !hostName.MatchString(text) {
				proxy, _, _ = goodRoles()
				proxy.Holders = []api.LockHolder{{Address: netip.MustParseAddr("10.0.0.1"), Name: text}}
				try("holder of locks", api.RoleProxy, proxy)
			}
			if a, err := netip.ParseAddr("fe80::1%" + text); err == nil {
				_, web, _ = goodRoles()
				web.Backends[0].Address = netip.AddrPortFrom(a, 9000)
				try("zone", api.RoleWeb, web)
			}
		})
	}
	for name, change := range map[string]func(*api.HostingBackendConfig){
		"no address":         func(c *api.HostingBackendConfig) { c.Listen = netip.AddrPort{} },
		"every address":      func(c *api.HostingBackendConfig) { c.Listen = netip.MustParseAddrPort("0.0.0.0:9000") },
		"another's address":  func(c *api.HostingBackendConfig) { c.Listen = netip.MustParseAddrPort("127.0.0.2:9000") },
		"no port":            func(c *api.HostingBackendConfig) { c.Listen = netip.MustParseAddrPort("127.0.0.1:0") },
		"no sessions":        func(c *api.HostingBackendConfig) { c.Sessions = api.SessionsStore{} },
		"password of blanks": func(c *api.HostingBackendConfig) { c.Sessions.Password = "a b" },
		"patience":           func(c *api.HostingBackendConfig) { c.Patience = maxPatience + 1 },
		"no patience":        func(c *api.HostingBackendConfig) { c.Patience = -1 },
		"many versions":      func(c *api.HostingBackendConfig) { c.Versions = make([]api.CodeBlob, code.MaxVersions+1) },
	} {
		_, _, c := goodRoles()
		change(&c)
		if err := refusedBy(t, api.RoleBackend, c); err == nil {
			t.Errorf("%s: let through", name)
		}
	}
}

// The programs take what is made for many servers and versions, and read it as it was meant.
func TestProgramsTakeTheirConfigurations(t *testing.T) {
	half := newHalf()
	h := hosttest.New(t)
	p, err := half.site(h)
	if err != nil {
		t.Fatal(err)
	}
	proxy, web, _ := goodRoles()
	proxy.Webs, web.Backends = nil, nil
	for _, count := range []int{0, 1, 300} {
		for i := len(web.Backends); i < count; i++ {
			s := api.Server{Node: api.NodeID(fmt.Sprintf("n%d", i+2)), Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 8080)}
			web.Backends, proxy.Webs = append(web.Backends, s), append(proxy.Webs, s)
		}
		if _, err := h.State().Write(p.Config()+"/"+versionMap, []byte("serving code-aaaaa1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		haproxyText, mark1, err := renderHAProxy(p, node, proxy)
		if err != nil {
			t.Fatal(err)
		}
		nginxText, mark2, err := half.renderWeb(p, web, []string{"code-aaaaa1", "code-default"})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.State().Mkdir(p.Temp()+"/nginx", 0o755, host.User{}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name, mark string
			text       []byte
			command    []string
		}{
			{haproxyConf, mark1, haproxyText, []string{"haproxy", "-c", "-f", "FILE"}},
			{nginxConf, mark2, nginxText, []string{"nginx", "-t", "-e", "stderr", "-p", p.RunPath("") + "/", "-c", "FILE"}},
		} {
			if strings.Contains(string(c.text), conf.MarkHere) || strings.Count(string(c.text), c.mark) != 1 || strings.Contains(string(c.text), "<no value>") {
				t.Errorf("%s has not its mark once:\n%s", c.name, c.text)
			}
			file := p.Path(p.Config() + "/" + c.name)
			if err := os.WriteFile(file, c.text, 0o644); err != nil {
				t.Fatal(err)
			}
			c.command[slices.Index(c.command, "FILE")] = file
			if out, err := exec.Command(c.command[0], c.command[1:]...).CombinedOutput(); err != nil || strings.Contains(string(out), "WARN") || strings.Contains(string(out), "[warn]") {
				t.Errorf("%v: %v: %s", c.command, err, out)
			}
		}
		// nginx says what it has read.
		out, err := exec.Command("nginx", "-T", "-q", "-e", "stderr", "-p", p.RunPath("")+"/", "-c", p.Path(p.Config()+"/"+nginxConf)).Output()
		if got := strings.Count(string(out), "max_fails=1"); err != nil || got != count {
			t.Errorf("nginx reads %d servers, %v; want %d", got, err, count)
		}
	}
}

// What a program refuses does not replace what it has, and the error has its words.
func TestRefusedConfiguration(t *testing.T) {
	h := hosttest.New(t)
	p, err := newHalf().site(h)
	if err != nil {
		t.Fatal(err)
	}
	good := conf.File{Name: p.Config() + "/x.conf", Text: []byte("good"), Mode: 0o600, Try: func(string) ([]byte, int, error) { return nil, 0, nil }}
	if err := conf.Install(h, good); err != nil {
		t.Fatal(err)
	}
	var tried string
	bad := good
	bad.Text = []byte("bad")
	bad.Try = func(path string) ([]byte, int, error) {
		tried = path
		return []byte("unknown directive in " + path + ":1\n" + strings.Repeat("x", 10_000)), 1, nil
	}
	err = conf.Install(h, bad)
	if err == nil || !strings.Contains(err.Error(), "unknown directive in x.conf:1") || strings.Contains(err.Error(), tried) || len(err.Error()) > 3000 {
		t.Errorf("the error is %v", err)
	}
	if data, err := h.State().Read(p.Config()+"/x.conf", 100); err != nil || string(data) != "good" {
		t.Errorf("there is %q, %v", data, err)
	}
	if names, err := h.State().Names(p.Config()); err != nil || len(names) != 1 {
		t.Errorf("there are %v, %v", names, err)
	}
	if info, err := os.Stat(h.State().Path(p.Config() + "/x.conf")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func FuzzDecode(f *testing.F) {
	a, b, c := goodRoles()
	for _, config := range []any{a, b, c} {
		data, _ := json.Marshal(config)
		f.Add(data)
	}
	half := newHalf()
	f.Fuzz(func(t *testing.T, data []byte) {
		roles := []api.RoleSpec{{Role: api.RoleProxy, Config: data}, {Role: api.RoleWeb, Config: data}, {Role: api.RoleBackend, Config: data}}
		want := half.decodeAll(roles, node, func(api.Role, error) {})
		if want.web == nil || len(want.web.Backends) > 0 {
			return
		}
		p := Site{Host: hosttest.New(t), Base: "services/fake", Run: "fake", half: half}
		text, _, err := half.renderWeb(p, *want.web, nil)
		plain, _, _ := half.renderWeb(p, api.HostingWebConfig{Listen: want.web.Listen}, nil)
		if err != nil || strings.Count(string(text), ";") != strings.Count(string(plain), ";") {
			t.Errorf("%q makes\n%s", data, text)
		}
	})
}

func TestFactsAreJSON(t *testing.T) {
	var got api.HostingFacts
	want := api.HostingFacts{Checked: map[string]bool{"code-default": true}, Refused: map[string]string{"x": "\xff\n\""}, Active: 3}
	if err := json.Unmarshal(encode(want), &got); err != nil || got.Active != 3 || !got.Checked["code-default"] {
		t.Errorf("%+v, %v", got, err)
	}
}
