package php

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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
	decodeAll([]api.RoleSpec{role(t, r, config)}, node, func(_ api.Role, err error) { found = err })
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
			_, web, backend := goodRoles()
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
			for _, name := range []string{"max_execution_time", "memory_limit", "upload_max_filesize", "post_max_size", "log_errors", "display_errors", text} {
				backend.Settings = map[string]string{name: text}
				try("setting "+name, api.RoleBackend, backend)
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
		"memory":             func(c *api.HostingBackendConfig) { c.Settings["memory_limit"] = "5G" },
		"little memory":      func(c *api.HostingBackendConfig) { c.Settings["memory_limit"] = "15M" },
		"huge memory":        func(c *api.HostingBackendConfig) { c.Settings["memory_limit"] = "9999999999G" },
		"time":               func(c *api.HostingBackendConfig) { c.Settings["max_execution_time"] = "3601" },
		"no time":            func(c *api.HostingBackendConfig) { c.Settings["max_execution_time"] = "0" },
		"time with a sign":   func(c *api.HostingBackendConfig) { c.Settings["max_execution_time"] = "+5" },
		"functions":          func(c *api.HostingBackendConfig) { c.Settings["disable_functions"] = "a\"\nallow_url_include=On" },
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

// PHP reads back exactly what was meant, whatever characters the values have.
func TestPHPReadsBack(t *testing.T) {
	_, _, c := goodRoles()
	c.Settings = map[string]string{"disable_functions": "exec,system, passthru", "memory_limit": "4G", "display_errors": "On"}
	h := hosttest.New(t)
	p, err := newPaths(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"plain", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "${PATH}", "%41%00", "a&auth=b", "a\";evil=1", strings.Repeat("%", maxPassword)} {
		c.Sessions.Password = password
		if err := refusedBy(t, api.RoleBackend, c); err != nil {
			t.Errorf("password %q: %v", password, err)
			continue
		}
		_, ini, _, err := renderFPM(p, c)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "php.ini")
		if err := os.WriteFile(path, ini, 0o600); err != nil {
			t.Fatal(err)
		}
		// PHP takes the URL apart as php-redis does.
		out, err := exec.Command("php8.2", "-c", path, "-r", `
			foreach (['memory_limit', 'upload_max_filesize', 'post_max_size', 'log_errors', 'display_errors', 'disable_functions'] as $n) $all[$n] = get_cfg_var($n);
			parse_str(parse_url(get_cfg_var('session.save_path'), PHP_URL_QUERY), $q);
			echo json_encode(['auth' => $q['auth'], 'evil' => (string) get_cfg_var('evil'), 'reporting' => (string) (int) get_cfg_var('error_reporting')] + $all);`).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var got map[string]string
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := map[string]string{
			"auth": password, "evil": "", "reporting": "22527", "memory_limit": "4G", "upload_max_filesize": "2M", "post_max_size": "8M",
			"log_errors": "1", "display_errors": "1", "disable_functions": "exec,system, passthru",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

// The programs take what is made for many servers and versions, and read it as it was meant.
func TestProgramsTakeTheirConfigurations(t *testing.T) {
	h := hosttest.New(t)
	p, err := newPaths(h)
	if err != nil {
		t.Fatal(err)
	}
	proxy, web, backend := goodRoles()
	proxy.Webs, web.Backends = nil, nil
	for _, count := range []int{0, 1, 300} {
		for i := len(web.Backends); i < count; i++ {
			s := api.Server{Node: api.NodeID(fmt.Sprintf("n%d", i+2)), Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 8080)}
			web.Backends, proxy.Webs = append(web.Backends, s), append(proxy.Webs, s)
		}
		if _, err := h.State().Write(configDir+"/"+versionMap, []byte("serving code-aaaaa1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		haproxyText, mark1, err := renderHAProxy(p, node, proxy)
		if err != nil {
			t.Fatal(err)
		}
		nginxText, mark2, err := renderNginx(p, web, []string{"code-aaaaa1", "code-default"})
		if err != nil {
			t.Fatal(err)
		}
		fpmText, _, mark3, err := renderFPM(p, backend)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.State().Mkdir(tempDir+"/nginx", 0o755, host.User{}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name, mark string
			text       []byte
			command    []string
		}{
			{haproxyConf, mark1, haproxyText, []string{"haproxy", "-c", "-f", "FILE"}},
			{nginxConf, mark2, nginxText, []string{"nginx", "-t", "-e", "stderr", "-p", p.run + "/", "-c", "FILE"}},
			{fpmConf, mark3, fpmText, []string{"php-fpm8.2", "-t", "-n", "-y", "FILE"}},
		} {
			if strings.Contains(string(c.text), conf.MarkHere) || strings.Count(string(c.text), c.mark) != 1 || strings.Contains(string(c.text), "<no value>") {
				t.Errorf("%s has not its mark once:\n%s", c.name, c.text)
			}
			file := filepath.Join(p.config, c.name)
			if err := os.WriteFile(file, c.text, 0o644); err != nil {
				t.Fatal(err)
			}
			c.command[slices.Index(c.command, "FILE")] = file
			if out, err := exec.Command(c.command[0], c.command[1:]...).CombinedOutput(); err != nil || strings.Contains(string(out), "WARN") || strings.Contains(string(out), "[warn]") {
				t.Errorf("%v: %v: %s", c.command, err, out)
			}
		}
		// nginx says what it has read.
		out, err := exec.Command("nginx", "-T", "-q", "-e", "stderr", "-p", p.run+"/", "-c", filepath.Join(p.config, nginxConf)).Output()
		if got := strings.Count(string(out), "max_fails=1"); err != nil || got != count {
			t.Errorf("nginx reads %d servers, %v; want %d", got, err, count)
		}
	}
}

// What a program refuses does not replace what it has, and the error has its words.
func TestRefusedConfiguration(t *testing.T) {
	h := hosttest.New(t)
	if _, err := newPaths(h); err != nil {
		t.Fatal(err)
	}
	good := conf.File{Name: configDir + "/x.conf", Text: []byte("good"), Mode: 0o600, Try: func(string) ([]byte, int, error) { return nil, 0, nil }}
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
	err := conf.Install(h, bad)
	if err == nil || !strings.Contains(err.Error(), "unknown directive in x.conf:1") || strings.Contains(err.Error(), tried) || len(err.Error()) > 3000 {
		t.Errorf("the error is %v", err)
	}
	if data, err := h.State().Read(configDir+"/x.conf", 100); err != nil || string(data) != "good" {
		t.Errorf("there is %q, %v", data, err)
	}
	if names, err := h.State().Names(configDir); err != nil || len(names) != 1 {
		t.Errorf("there are %v, %v", names, err)
	}
	if info, err := os.Stat(h.State().Path(configDir + "/x.conf")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func FuzzDecode(f *testing.F) {
	a, b, c := goodRoles()
	for _, config := range []any{a, b, c} {
		data, _ := json.Marshal(config)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		roles := []api.RoleSpec{{Role: api.RoleProxy, Config: data}, {Role: api.RoleWeb, Config: data}, {Role: api.RoleBackend, Config: data}}
		want := decodeAll(roles, node, func(api.Role, error) {})
		p := paths{state: "/s", run: "/r", code: "/c", config: "/f", temp: "/t", log: func(name string) string { return "/l/" + name }}
		if want.web != nil {
			text, _, err := renderNginx(p, *want.web, nil)
			plain, _, _ := renderNginx(p, api.HostingWebConfig{Listen: want.web.Listen}, nil)
			if len(want.web.Backends) == 0 && (err != nil || strings.Count(string(text), ";") != strings.Count(string(plain), ";")) {
				t.Errorf("%q makes\n%s", data, text)
			}
		}
		if want.backend != nil {
			_, ini, _, err := renderFPM(p, *want.backend)
			if err != nil || strings.Count(string(ini), "\n") != 24 {
				t.Errorf("%q makes %d lines\n%s", data, strings.Count(string(ini), "\n"), ini)
			}
		}
	})
}
