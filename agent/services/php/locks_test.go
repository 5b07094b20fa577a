package php

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

// The sessions that a lost machine's programs have locked are released, and no others: who waits for one goes on at once.
func TestLocksOfALostMachine(t *testing.T) {
	lab := newLab(t)
	v := newVersion(t, "code-aaaaa1", map[string]string{
		"hold.php": `<?php session_start(); touch(sys_get_temp_dir() . '/holds'); while (!file_exists(sys_get_temp_dir() . '/end')) usleep(10000); echo 'held';`,
		"held.php": `<?php clearstatcache(); echo file_exists(sys_get_temp_dir() . '/holds') ? 'yes' : 'no';`,
		"end.php":  `<?php touch(sys_get_temp_dir() . '/end'); echo 'ok';`,
		"next.php": `<?php session_start(); echo 'next';`,
	})
	s := &shop{t: t, serving: v.ID, versions: []version{v}, proxies: []*machine{lab.machine()}, webs: []*machine{lab.machine()}, backends: []*machine{lab.machine()}}
	s.apply()
	_, facts := s.backends[0].await(api.RoleBackend, "it is ready", ready)
	if name, err := os.Hostname(); err != nil || facts.Host != name {
		t.Errorf("the machine's locks are said to be those of %q, not of %q (%v)", facts.Host, name, err)
	}
	first := make(chan error, 1)
	go func() {
		_, err := visit(client(true), http.MethodGet, s.url("/hold.php"), "", "Cookie", "PHPSESSID=one")
		first <- err
	}()
	for page(t, s.proxies[0].at(proxyPort), "/held.php") != "yes" {
	}
	for name, want := range map[string]int64{"another": 0, facts.Host[:len(facts.Host)-1]: 0} {
		if n, err := hosting.ReleaseLocks(t.Context(), s.sessions(), lockKeys, name); err != nil || n != want {
			t.Errorf("%d locks of %q are released, %v", n, name, err)
		}
	}
	if n, err := hosting.ReleaseLocks(t.Context(), s.sessions(), lockKeys, facts.Host); err != nil || n != 1 {
		t.Errorf("%d locks are released, %v", n, err)
	}
	if text := page(t, s.proxies[0].at(proxyPort), "/next.php", "Cookie", "PHPSESSID=one"); text != "next" { // while the first goes on
		t.Errorf("the next request of the session gets %q", text)
	}
	select {
	case err := <-first:
		t.Errorf("the first request has ended: %v", err)
	default:
	}
	page(t, s.proxies[0].at(proxyPort), "/end.php")
	<-first
	wrong := s.sessions()
	wrong.Password = "wrong"
	if _, err := hosting.ReleaseLocks(t.Context(), wrong, lockKeys, facts.Host); err == nil {
		t.Error("a wrong password is taken")
	}
}

// nginx waits for a program, and a session is locked and waited for, as long as the configuration says.
func TestPatienceIsInEffect(t *testing.T) {
	p := newSite(t)
	text, err := hosting.Render(files, "program.conf", struct {
		Code     string
		Backends []api.Server
		Patience int
	}{"/code", []api.Server{{}}, 330})
	if line := "fastcgi_read_timeout 330s;"; err != nil || !strings.Contains(string(text), line) {
		t.Errorf("%q is not in nginx.conf, %v", line, err)
	}
	for given, want := range map[int]int{0: 60, 330: 330} {
		backend := goodBackend()
		backend.Patience = given
		_, ini, _, err := renderFPM(p, backend)
		for _, line := range []string{fmt.Sprintf("redis.session.lock_expire = %d\n", want), fmt.Sprintf("redis.session.lock_retries = %d\n", want*50)} {
			if err != nil || !strings.Contains(string(ini), line) {
				t.Errorf("%q is not in php.ini, %v", line, err)
			}
		}
	}
}
