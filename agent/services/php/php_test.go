package php

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
)

// packed gives the three roles on one machine.
func packed(m *machine, serving string, versions ...version) []api.RoleSpec {
	sessions := api.SessionsStore{Listen: m.at(redisPort), Password: password}
	blobs := []api.CodeBlob{{ID: api.CodeDefault}}
	for _, v := range versions {
		m.store(v.SHA256, v.data)
		blobs = append(blobs, v.CodeBlob)
	}
	return []api.RoleSpec{
		role(m.t, api.RoleProxy, api.HostingProxyConfig{Port: proxyPort, Version: serving, Webs: []api.Server{m.server(webPort)}, Sessions: &sessions}),
		role(m.t, api.RoleWeb, api.HostingWebConfig{Listen: m.at(webPort), Versions: blobs, Backends: []api.Server{m.server(backendPort)}}),
		role(m.t, api.RoleBackend, api.HostingBackendConfig{Listen: m.at(backendPort), Versions: blobs, Sessions: sessions}),
	}
}

func TestPacked(t *testing.T) {
	m := newLab(t).machine()
	m.apply(packed(m, api.CodeDefault)...)
	m.awaitReady()
	if text := page(t, m.at(proxyPort), "/"); !strings.Contains(text, "This PHP service is ready") || !strings.Contains(text, "It runs PHP 8.") {
		t.Errorf("the welcome page is:\n%s", text)
	}
	if text := page(t, m.at(proxyPort), "/welcome.css"); !strings.Contains(text, "font-family") {
		t.Errorf("its style is:\n%s", text)
	}
	one := site(t, "code-aaaaa1")
	m.apply(packed(m, api.CodeDefault, one)...)
	for _, r := range []api.Role{api.RoleWeb, api.RoleBackend} {
		m.await(r, "the version is checked", func(s api.RoleStatus, f api.HostingFacts) bool {
			return ready(s, f) && f.Checked[one.ID] && f.Checked[api.CodeDefault]
		})
	}
	m.apply(packed(m, one.ID, one)...)
	m.await(api.RoleProxy, "it serves the version", func(s api.RoleStatus, f api.HostingFacts) bool { return ready(s, f) && f.Version == one.ID })
	for path, want := range map[string]string{
		"/":                    "code-aaaaa1 code-aaaaa1 code-aaaaa1 GET 0  ",
		"/index.php?a=b&c":     "code-aaaaa1 code-aaaaa1 code-aaaaa1 GET 0  a=b&c",
		"/index.php/x/y.php?a": "code-aaaaa1 code-aaaaa1 code-aaaaa1 GET 0 /x/y.php a",
		"/not/there?q=1":       "code-aaaaa1 code-aaaaa1 code-aaaaa1 GET 0  q=1",
		"/version.txt":         "code-aaaaa1\n",
		"/sub/a.txt":           "in a directory",
		"/session.php":         "1",
		"/who.php":             "www-data r t 127.0.0.1",
	} {
		if text := page(t, m.at(proxyPort), path); text != want {
			t.Errorf("%s is %q; want %q", path, text, want)
		}
	}
	// Neither the version nor the visitor's address can be given by the visitor.
	if text := page(t, m.at(proxyPort), "/version.txt", "X-Conpaas-Version", api.CodeDefault); text != "code-aaaaa1\n" {
		t.Errorf("a visitor has chosen %q", text)
	}
	if text := page(t, m.at(proxyPort), "/who.php", "X-Forwarded-For", "9.9.9.9"); !strings.HasSuffix(text, " 127.0.0.1") {
		t.Errorf("a visitor is %q", text)
	}
	for _, path := range []string{"/.secret", "/.conpaas/ping", "/.conpaas/status", "/no.php", "/sub/", "/lib/late.php/../../.secret"} {
		if text, err := visit(client(true), "GET", "http://"+m.at(proxyPort).String()+path, ""); err == nil && !strings.Contains(text, "GET 0") {
			t.Errorf("%s is let through: %q", path, text)
		}
	}
	// A web serves no request that names no version that is there.
	for _, header := range [][]string{nil, {"X-Conpaas-Version", "code-nosuch"}, {"X-Conpaas-Version", "../../config"}, {"X-Conpaas-Version", "none"}} {
		for _, path := range []string{"/", "/etc/hostname", "/index.php", "/php.ini"} {
			if text, err := visit(client(true), "GET", "http://"+m.at(webPort).String()+path, "", header...); err == nil || !strings.Contains(err.Error(), "503") {
				t.Errorf("%s with %q: %q, %v", path, header, text, err)
			}
		}
	}
	m.apply()
	for _, r := range []api.Role{api.RoleProxy, api.RoleWeb, api.RoleBackend} {
		m.await(r, "it is drained", drained)
	}
}

// A version that cannot be used is refused with the words of who refuses it, and the old one goes on.
func TestVersionsAreRefused(t *testing.T) {
	m := newLab(t).machine()
	good := site(t, "code-good11")
	m.apply(packed(m, good.ID, good)...)
	m.awaitReady()
	broken := newVersion(t, "code-broken", map[string]string{"index.php": "<?php echo 1;", "lib/x.php": "<?php\nfunction () {\n echo 1 +;\n", "ok.txt": "<?php +"})
	unsafe := newVersion(t, "code-unsafe", map[string]string{"../../index.php": "<?php"})
	garbage := version{api.CodeBlob{ID: "code-garbag", SHA256: strings.Repeat("a", 64), Format: "zip"}, []byte("no archive")}
	m.apply(packed(m, good.ID, good, broken, unsafe, garbage)...)
	_, f := m.await(api.RoleBackend, "it goes on", ready)
	if f.Checked[broken.ID] || !strings.Contains(f.Refused[broken.ID], "Parse error: syntax error") || !strings.Contains(f.Refused[broken.ID], "in lib/x.php on line 3") || strings.Contains(f.Refused[broken.ID], "/var/lib") {
		t.Errorf("the broken version: %q", f.Refused[broken.ID])
	}
	for _, r := range []api.Role{api.RoleWeb, api.RoleBackend} {
		_, f := m.await(r, "it goes on", ready)
		if f.Checked[unsafe.ID] || !strings.Contains(f.Refused[unsafe.ID], "has .. in its name") {
			t.Errorf("%s: the unsafe version: %q", r, f.Refused[unsafe.ID])
		}
		if f.Checked[garbage.ID] || !strings.Contains(f.Refused[garbage.ID], "cannot be read") {
			t.Errorf("%s: the garbage: %q", r, f.Refused[garbage.ID])
		}
	}
	if text := page(t, m.at(proxyPort), "/version.txt"); text != good.ID+"\n" {
		t.Errorf("it serves %q", text)
	}
	// What is no longer wanted goes, at the second look.
	m.apply(packed(m, good.ID, good)...)
	m.apply(packed(m, good.ID, good)...)
	found, err := os.ReadDir(filepath.Join(m.dir, "var/lib/conpaas/services/php/code"))
	if err != nil || fmt.Sprint(found) != "[d code-default/ d code-good11/]" {
		t.Errorf("there is %v, %v", found, err)
	}
}
