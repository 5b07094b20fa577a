package php

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"conpaas/client/api"
)

// A configuration that cannot be taken over leaves the old one serving, and the reason has the program's words.
func TestTakenPort(t *testing.T) {
	m := newLab(t).machine()
	m.apply(packed(m, api.CodeDefault)...)
	m.awaitReady()
	pid := m.pid(api.RoleProxy)
	taken, err := net.Listen("tcp", m.at(proxyPort+1).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	roles := packed(m, api.CodeDefault)
	sessions := api.SessionsStore{Listen: m.at(redisPort), Password: password}
	roles[0] = role(t, api.RoleProxy, api.HostingProxyConfig{Port: proxyPort + 1, Version: api.CodeDefault, Webs: []api.Server{m.server(webPort)}, Sessions: &sessions})
	m.roles = roles
	a := m.call(call{Apply: true})
	if text := a.Errors[api.RoleProxy]; !strings.Contains(text, "Address already in use") || len(a.Errors) != 1 {
		t.Errorf("the errors are %v", a.Errors)
	}
	page(t, m.at(proxyPort), "/")
	taken.Close()
	m.apply(roles...)
	m.awaitReady()
	page(t, m.at(proxyPort+1), "/")
	if now := m.pid(api.RoleProxy); now != pid {
		t.Errorf("it is served by process %d now, not by %d", now, pid)
	}
	// A role whose configuration is wrong goes on as it was; the others are applied.
	m.roles = []api.RoleSpec{roles[0], {Role: api.RoleWeb, Config: api.RawJSON(`{"listen":"0.0.0.0:1"}`)}, roles[2], {Role: "database"}}
	a = m.call(call{Apply: true})
	if len(a.Errors) != 2 || a.Errors[api.RoleWeb] == "" || a.Errors["database"] == "" {
		t.Errorf("the errors are %v", a.Errors)
	}
	m.roles = m.roles[:3]
	if s, _ := m.await(api.RoleWeb, "it has failed", func(s api.RoleStatus, _ api.HostingFacts) bool { return s.State == api.RoleFailed }); !strings.Contains(s.Reason, "0.0.0.0:1") {
		t.Errorf("the reason is %q", s.Reason)
	}
	page(t, m.at(proxyPort+1), "/")
}

// Backends and webs that die without a word cost no visitor anything but what was in flight on them.
func TestLostServers(t *testing.T) {
	lab := newLab(t)
	one := site(t, "code-aaaaa1")
	s := &shop{
		t: t, serving: one.ID, versions: []version{one},
		proxies: []*machine{lab.machine()}, webs: []*machine{lab.machine(), lab.machine()}, backends: []*machine{lab.machine(), lab.machine()},
	}
	s.apply()
	s.webs[0].apply()
	s.backends[0].apply()
	l := newLoad(t, s.proxies[0].at(proxyPort)) // of servers that are named and not there
	l.more(200)
	l.stop()
	// One backend that takes connections and dies at the answer: a POST is delivered once.
	var posts atomic.Int64
	dying, err := net.Listen("tcp", s.backends[0].at(backendPort).String())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := dying.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 4096)
			n, _ := conn.Read(buffer)
			if strings.Contains(string(buffer[:n]), "POST") {
				posts.Add(1)
			}
			conn.Close()
		}
	})
	var failed int64
	for visits := 0; visits < 1000 && posts.Load() < 1; visits++ { // nginx leaves it alone for a while after each
		if _, err := visit(client(true), http.MethodPost, s.url("/"), "once"); err != nil {
			failed++
		}
	}
	dying.Close()
	all.Wait()
	if posts.Load() == 0 || failed != posts.Load() {
		t.Errorf("%d POSTs were taken by a dying backend, and %d visitors were told", posts.Load(), failed)
	}
}

// The master of nginx and of HAProxy too takes its workers with it.
func TestKilledMasters(t *testing.T) {
	m := newLab(t).machine()
	m.apply(packed(m, api.CodeDefault)...)
	m.awaitReady()
	for _, r := range []api.Role{api.RoleWeb, api.RoleProxy} {
		pid := m.pid(r)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.await(r, "another master serves", func(s api.RoleStatus, f api.HostingFacts) bool { return ready(s, f) && s.PIDs[0] != pid })
	}
	m.awaitReady()
	page(t, m.at(proxyPort), "/")
}

func FuzzFastCGIAnswer(f *testing.F) {
	f.Add(append(fcgiRecord(fcgiStdout, []byte("Status: 200\r\n\r\n{}")), fcgiRecord(fcgiEnd, make([]byte, 8))...))
	f.Add([]byte{1, 6, 0, 1, 0, 0, 255, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if out, err := fcgiAnswer(strings.NewReader(string(data))); err == nil && len(out) > len(data) {
			t.Errorf("%d bytes of %d", len(out), len(data))
		}
	})
}

// A connection that an old worker still holds when the version is switched gets the new one.
func TestSwitchReachesOldWorkers(t *testing.T) {
	m := newLab(t).machine()
	one, two := site(t, "code-aaaaa1"), site(t, "code-bbbbb2")
	m.apply(packed(m, one.ID, one, two)...)
	m.awaitReady()
	c := client(false)
	defer c.CloseIdleConnections()
	get := func() string {
		t.Helper()
		text, err := visit(c, http.MethodGet, "http://"+m.at(proxyPort).String()+"/version.txt", "")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(text)
	}
	if got := get(); got != one.ID {
		t.Fatalf("it serves %s", got)
	}
	sessions := api.SessionsStore{Listen: m.at(redisPort), Password: password}
	proxy := api.HostingProxyConfig{Port: proxyPort, Version: one.ID, Sessions: &sessions, Webs: []api.Server{m.server(webPort), {Node: "n77", Address: m.at(webPort)}}}
	m.roles[0] = role(t, api.RoleProxy, proxy)
	m.apply(m.roles...) // a reload: the connection stays with the old worker
	proxy.Version = two.ID
	m.roles[0] = role(t, api.RoleProxy, proxy)
	m.apply(m.roles...)
	if got := get(); got != two.ID {
		t.Errorf("the old connection gets %s after the switch to %s", got, two.ID)
	}
	// A switch together with a reload.
	proxy.Version, proxy.Webs = one.ID, proxy.Webs[:1]
	m.roles[0] = role(t, api.RoleProxy, proxy)
	get()
	m.apply(m.roles...)
	if got := get(); got != one.ID {
		t.Errorf("the old connection gets %s after the switch to %s", got, one.ID)
	}
}
