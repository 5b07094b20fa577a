package php

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"conpaas/client/api"
)

// shop is a service on machines of their own: what a manager would tell them.
type shop struct {
	t                       *testing.T
	proxies, webs, backends []*machine
	serving                 string
	versions                []version
	settings                map[string]string
}

func (s *shop) blobs(m *machine) []api.CodeBlob {
	all := []api.CodeBlob{{ID: api.CodeDefault}}
	for _, v := range s.versions {
		m.store(v.SHA256, v.data)
		all = append(all, v.CodeBlob)
	}
	return all
}

func servers(machines []*machine, port uint16) []api.Server {
	var all []api.Server
	for _, m := range machines {
		all = append(all, m.server(port))
	}
	return all
}

func (s *shop) sessions() api.SessionsStore {
	return api.SessionsStore{Listen: s.proxies[0].at(redisPort), Password: password}
}

func (s *shop) applyBackend(m *machine, drain bool) {
	m.apply(role(s.t, api.RoleBackend, api.HostingBackendConfig{Listen: m.at(backendPort), Versions: s.blobs(m), Settings: s.settings, Sessions: s.sessions(), Drain: drain}))
}

func (s *shop) applyWeb(m *machine) {
	m.apply(role(s.t, api.RoleWeb, api.HostingWebConfig{Listen: m.at(webPort), Versions: s.blobs(m), Backends: servers(s.backends, backendPort)}))
}

func (s *shop) applyProxy(m *machine) {
	c := api.HostingProxyConfig{Port: proxyPort, Version: s.serving, Webs: servers(s.webs, webPort)}
	if m == s.proxies[0] {
		sessions := s.sessions()
		c.Sessions = &sessions
	}
	m.apply(role(s.t, api.RoleProxy, c))
}

// apply brings all machines up to date, each floor before the one that uses it.
func (s *shop) apply() {
	s.t.Helper()
	for _, m := range s.backends {
		s.applyBackend(m, false)
	}
	for _, m := range s.webs {
		s.applyWeb(m)
	}
	for _, m := range s.proxies {
		s.applyProxy(m)
	}
	for _, group := range [][]*machine{s.backends, s.webs, s.proxies} {
		for _, m := range group {
			m.awaitReady()
		}
	}
}

func (s *shop) url(path string) string {
	return "http://" + s.proxies[0].at(proxyPort).String() + path
}

// Versions and machines change under load, and no visitor notices.
func TestChangesUnderLoad(t *testing.T) {
	lab := newLab(t)
	one, two := site(t, "code-aaaaa1"), site(t, "code-bbbbb2")
	s := &shop{
		t: t, serving: one.ID, versions: []version{one, two},
		proxies: []*machine{lab.machine()}, webs: []*machine{lab.machine()}, backends: []*machine{lab.machine()},
	}
	s.apply()
	l := newLoad(t, s.proxies[0].at(proxyPort))
	defer l.stop()
	l.more(100)
	for _, v := range []string{two.ID, one.ID, two.ID, one.ID} {
		s.serving = v
		s.applyProxy(s.proxies[0])
		s.proxies[0].await(api.RoleProxy, "it serves the version", func(st api.RoleStatus, f api.HostingFacts) bool { return ready(st, f) && f.Version == v })
		if text := page(t, s.proxies[0].at(proxyPort), "/version.txt"); text != v+"\n" {
			t.Errorf("after the switch to %s it serves %q", v, text)
		}
		l.more(60)
	}
	// More backends and webs, then fewer.
	oldBackend, oldWeb := s.backends[0], s.webs[0]
	s.backends = append(s.backends, lab.machine(), lab.machine())
	s.apply()
	l.more(100)
	s.webs = append(s.webs, lab.machine())
	s.apply()
	l.more(100)
	s.backends = s.backends[1:]
	s.apply()
	for _, w := range s.webs {
		w.await(api.RoleWeb, "it uses the new backends only", func(_ api.RoleStatus, f api.HostingFacts) bool {
			return fmt.Sprint(f.Servers) == fmt.Sprint(nodesOf(servers(s.backends, 1)))
		})
	}
	s.applyBackend(oldBackend, true)
	_, f := oldBackend.await(api.RoleBackend, "it is drained", drained)
	if f.Active != 0 {
		t.Errorf("a drained backend has %d requests", f.Active)
	}
	oldBackend.apply()
	s.webs = s.webs[1:]
	s.apply()
	oldWeb.apply()
	oldWeb.await(api.RoleWeb, "it is drained", drained)
	l.more(100)
	// A version that is dropped does no harm to what is under way.
	s.versions = []version{one}
	s.apply()
	l.more(60)
	for _, v := range []string{one.ID, two.ID} {
		if _, ok := l.seen.Load(v); !ok {
			t.Errorf("no visitor has seen %s", v)
		}
	}
}

// The roles move from one machine to several and back under load.
func TestMovesUnderLoad(t *testing.T) {
	lab := newLab(t)
	one := site(t, "code-aaaaa1")
	first, web, backend := lab.machine(), lab.machine(), lab.machine()
	first.apply(packed(first, one.ID, one)...)
	first.awaitReady()
	l := newLoad(t, first.at(proxyPort))
	defer l.stop()
	l.more(60)
	s := &shop{t: t, serving: one.ID, versions: []version{one}, proxies: []*machine{first}, webs: []*machine{web}, backends: []*machine{backend}}
	s.applyBackend(backend, false)
	backend.awaitReady()
	s.applyWeb(web)
	web.awaitReady()
	// The proxy first, with the roles that leave it still there.
	roles := packed(first, one.ID, one)
	sessions := s.sessions()
	proxy := role(t, api.RoleProxy, api.HostingProxyConfig{Port: proxyPort, Version: one.ID, Webs: servers(s.webs, webPort), Sessions: &sessions})
	first.apply(proxy, roles[1], roles[2])
	first.awaitReady()
	l.more(60)
	first.apply(proxy, roles[2])
	first.apply(proxy)
	first.await(api.RoleWeb, "it is drained", drained)
	first.await(api.RoleBackend, "it is drained", drained)
	l.more(60)
	first.apply(proxy, roles[1], roles[2])
	first.awaitReady()
	first.apply(roles...)
	first.awaitReady()
	web.apply()
	backend.apply()
	l.more(60)
}

// A session goes on when PHP is started anew and when another backend answers, and a killed master takes its
// workers with it.
func TestSessionsAndKills(t *testing.T) {
	lab := newLab(t)
	one, two := site(t, "code-aaaaa1"), site(t, "code-bbbbb2")
	s := &shop{
		t: t, serving: one.ID, versions: []version{one, two},
		proxies: []*machine{lab.machine()}, webs: []*machine{lab.machine()}, backends: []*machine{lab.machine(), lab.machine()},
	}
	s.apply()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := client(true)
	c.Jar = jar
	count := 0
	visits := func(n int, why string) {
		t.Helper()
		for range n {
			count++
			if text, err := visit(c, http.MethodGet, s.url("/session.php"), ""); err != nil || text != strconv.Itoa(count) {
				t.Fatalf("%s: visit %d gives %q, %v", why, count, text, err)
			}
		}
	}
	visits(6, "at first")
	// kill -9 of the masters: the supervisor ends the workers with them and starts others.
	s.serving = two.ID
	s.applyProxy(s.proxies[0])
	for _, m := range s.backends {
		pid := m.pid(api.RoleBackend)
		before := children(t, pid)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.await(api.RoleBackend, "another master serves", func(st api.RoleStatus, f api.HostingFacts) bool { return ready(st, f) && st.PIDs[0] != pid })
		for _, worker := range before {
			if stat, err := os.ReadFile("/proc/" + strconv.Itoa(worker) + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
				t.Errorf("worker %d lives on: %s", worker, stat)
			}
		}
	}
	if text, err := visit(c, http.MethodGet, s.url("/"), ""); err != nil || !strings.HasPrefix(text, two.ID+" "+two.ID) {
		t.Errorf("after the kill it serves %q, %v", text, err)
	}
	visits(4, "after the kill")
	// Redis too: what it has is on disk.
	proxy := s.proxies[0]
	st, _ := proxy.await(api.RoleProxy, "it is ready", ready)
	if err := syscall.Kill(st.PIDs[1], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	proxy.await(api.RoleProxy, "another Redis serves", func(now api.RoleStatus, f api.HostingFacts) bool { return ready(now, f) && now.PIDs[1] != st.PIDs[1] })
	visits(4, "after the end of Redis")
	// The backend that answered goes.
	gone := s.backends[0]
	s.backends = append(s.backends[1:], lab.machine())
	s.apply()
	gone.apply()
	visits(6, "on other backends")
	// The same agent's successor disturbs nothing.
	pids := []int{proxy.pid(api.RoleProxy), s.webs[0].pid(api.RoleWeb), s.backends[0].pid(api.RoleBackend)}
	for i, m := range []*machine{proxy, s.webs[0], s.backends[0]} {
		if a := m.call(call{Apply: true, Fresh: true}); len(a.Errors) > 0 {
			t.Fatal(a.Errors)
		}
		if pid := m.pid(m.roles[0].Role); pid != pids[i] {
			t.Errorf("machine %s: process %d after the agent was started anew; want %d", m.id, pid, pids[i])
		}
	}
	visits(2, "after new agents")
}

// Every setting is in effect on every backend, under load, and without harm to what is in flight.
func TestSettings(t *testing.T) {
	lab := newLab(t)
	one := site(t, "code-aaaaa1")
	s := &shop{
		t: t, serving: one.ID, versions: []version{one},
		proxies: []*machine{lab.machine()}, webs: []*machine{lab.machine()}, backends: []*machine{lab.machine(), lab.machine()},
	}
	s.apply()
	l := newLoad(t, s.proxies[0].at(proxyPort))
	defer l.stop()
	given := map[string]string{
		"max_execution_time": "77", "memory_limit": "99M", "upload_max_filesize": "3M", "post_max_size": "4M",
		"log_errors": "Off", "display_errors": "On", "disable_functions": "pcntl_fork,system, exec",
	}
	slow := make(chan error, 1)
	go func() {
		text, err := visit(client(true), http.MethodGet, s.url("/slow.php"), "")
		if err == nil && text != "done" {
			err = fmt.Errorf("it gives %q", text)
		}
		slow <- err
	}()
	for _, m := range s.backends { // the slow visit has begun on one of them, or begins under the new settings
		m.await(api.RoleBackend, "it is ready", ready)
	}
	s.settings = given
	s.apply()
	if err := <-slow; err != nil {
		t.Errorf("a slow visit: %v", err)
	}
	// What is sent is bounded by these settings and by nothing before PHP.
	for size, want := range map[int]string{1 << 20: "0 1048576 ", 3<<20 + 1: "1 0 "} {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		part, _ := w.CreateFormFile("f", "a.bin")
		part.Write(make([]byte, size))
		w.Close()
		if text, err := visit(client(true), http.MethodPost, s.url("/upload.php"), form.String(), "Content-Type", w.FormDataContentType()); err != nil || !strings.HasPrefix(text, want) {
			t.Errorf("a file of %d bytes gives %q, %v; want %q", size, text, err, want)
		}
	}
	if text, err := visit(client(true), http.MethodPost, s.url("/index.php"), strings.Repeat("x", 20<<20)); err != nil || !strings.Contains(text, "POST 20971520") {
		t.Errorf("20 MiB give %.100q, %v", text, err)
	}
	seen := map[string]bool{}
	for range 12 {
		var got map[string]string
		text := page(t, s.proxies[0].at(proxyPort), "/ini.php?names=max_execution_time,memory_limit,upload_max_filesize,post_max_size,log_errors,display_errors,disable_functions,session.save_handler")
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		seen[got["node"]] = true
		want := maps.Clone(given)
		want["log_errors"], want["display_errors"], want["session.save_handler"], want["node"] = "", "1", "redis", got["node"] // as PHP gives them
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	for _, m := range s.backends {
		if !seen[string(m.id)] {
			t.Errorf("backend %s was not seen: %v", m.id, seen)
		}
	}
}

// A slow download that has begun is finished by the old programs, whatever is changed meanwhile.
func TestSlowDownload(t *testing.T) {
	m := newLab(t).machine()
	noise := make([]byte, 48<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	big := newVersion(t, "code-bigbig", map[string]string{"index.php": "<?php", "big.bin": string(noise)})
	m.apply(packed(m, big.ID, big)...)
	m.awaitReady()
	c := client(false)
	defer c.CloseIdleConnections()
	response, err := c.Get("http://" + m.at(proxyPort).String() + "/big.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got := sha256.New()
	if _, err := io.CopyN(got, response.Body, 1000); err != nil {
		t.Fatal(err)
	}
	one := site(t, "code-aaaaa1")
	roles := packed(m, one.ID, one, big)
	sessions := api.SessionsStore{Listen: m.at(redisPort), Password: password}
	roles[0] = role(t, api.RoleProxy, api.HostingProxyConfig{
		Port: proxyPort, Version: one.ID, Sessions: &sessions, Webs: []api.Server{m.server(webPort), {Node: "n77", Address: m.at(webPort)}},
	})
	m.apply(roles...)
	m.awaitReady()
	m.apply(packed(m, one.ID, one)...)
	m.awaitReady()
	if text := page(t, m.at(proxyPort), "/version.txt"); text != one.ID+"\n" {
		t.Errorf("it serves %q", text)
	}
	if _, err := io.Copy(got, response.Body); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(noise); string(got.Sum(nil)) != string(sum[:]) {
		t.Error("the file has come otherwise than it was")
	}
}

func nodesOf(servers []api.Server) (all []api.NodeID) {
	for _, s := range servers {
		all = append(all, s.Node)
	}
	return all
}
