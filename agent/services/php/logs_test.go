package php

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

// logText gives a log of the machine.
func (m *machine) logText(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, "var/log/conpaas", name+".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// Every request is in the logs of the machines that have served it, without what may be secret in its address; what ConPaaS itself
// asks is not. Others than root do not read them, and they do not grow without end.
func TestAccessLogs(t *testing.T) {
	m := newLab(t).machine()
	v := site(t, "code-aaaaa1")
	m.apply(packed(m, v.ID, v)...)
	m.awaitReady()
	for _, path := range []string{"/version.txt?token=hidden", "/index.php/deep?token=hidden", "/nowhere.php?token=hidden"} {
		request, err := http.NewRequest(http.MethodGet, "http://"+m.at(proxyPort).String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Referer", "http://example.org/?token=hidden")
		request.Header.Set("User-Agent", "visitor/1")
		response, err := client(true).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	const nginxAccess = "nginx-access"
	web := func() string { return m.logText(nginxAccess) }
	m.await(api.RoleWeb, "the requests are logged", func(api.RoleStatus, api.HostingFacts) bool { return strings.Count(web(), "visitor/1") == 3 })
	for _, want := range []string{`"GET /version.txt HTTP/1.1" 200 `, `"GET /index.php/deep HTTP/1.1" 200 `, `"GET /nowhere.php HTTP/1.1" 404 `} {
		if !strings.Contains(web(), want) {
			t.Errorf("%q is not in the log of nginx:\n%s", want, web())
		}
	}
	if text := m.logText(fpmAccess); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"GET /index.php" 200 `) {
		t.Errorf("the log of php-fpm:\n%s", text)
	}
	for _, name := range []string{nginxAccess, fpmAccess} {
		file := filepath.Join(m.dir, "var/log/conpaas", name+".log")
		if text := m.logText(name); strings.Contains(text, "hidden") || strings.Contains(text, ".conpaas") {
			t.Errorf("the log %s says too much:\n%s", name, text)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("the log %s: %v, %v", name, info.Mode(), err)
		}
		if err := os.Truncate(file, 11<<20); err != nil {
			t.Fatal(err)
		}
		m.call(call{})
		if info, err := os.Stat(file); err != nil || info.Size() != 0 {
			t.Errorf("the log %s has %d bytes (%v)", name, info.Size(), err)
		}
		page(t, m.at(proxyPort), "/index.php")
		m.await(api.RoleWeb, "it goes on at its beginning", func(api.RoleStatus, api.HostingFacts) bool { return strings.HasPrefix(m.logText(name), "127.") })
	}
}

// What goes wrong before a web has it is in the log of the proxy.
func TestProxyLogsItsErrors(t *testing.T) {
	m := newLab(t).machine()
	sessions := api.SessionsStore{Listen: m.at(redisPort), Password: password}
	m.apply(role(t, api.RoleProxy, api.HostingProxyConfig{Port: proxyPort, Version: api.CodeDefault, Sessions: &sessions}))
	m.awaitReady()
	response, err := client(true).Get("http://" + m.at(proxyPort).String() + "/some/page?token=hidden")
	if err != nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()
	m.await(api.RoleProxy, "the error is logged", func(api.RoleStatus, api.HostingFacts) bool {
		return strings.Contains(m.logText(haproxy.Name), " 503 ") && strings.Contains(m.logText(haproxy.Name), " GET /some/page\n")
	})
	if text := m.logText(haproxy.Name); strings.Contains(text, "hidden") {
		t.Errorf("the log says too much:\n%s", text)
	}
}
