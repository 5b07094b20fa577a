package local_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
	"conpaas/director/cloud/local/forward"
	"conpaas/director/cloud/local/mount"
)

// serve is user-data that serves a page on port 80.
const serve = "mkdir /www && echo hello from $(hostname) > /www/index.html && httpd -p 80 -h /www && echo serving"

// get gets a page without keeping the connection.
func get(t *testing.T, address string) (string, error) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return strings.TrimSpace(string(body)), err
}

// TestDirectorInside: machines reach the director's listener, which is not on the host, and see their own address.
func TestDirectorInside(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"SUBNET": "10.211.4.0/24", "DIRECTOR_PORT": "7777"})
	l := start(t, c)
	if got := l.DirectorAddress(); got != "10.211.4.1:7777" || l.Listener().Addr().String() != got || !l.OverlayActive() || l.MachineListen("n1-1") != "" {
		t.Errorf("the director's address is %s, it listens on %s", got, l.Listener().Addr())
	}
	if sockets, err := os.ReadFile("/proc/self/net/tcp"); err != nil || strings.Contains(string(sockets), fmt.Sprintf(":%04X 00000000:0000 0A", 7777)) {
		t.Errorf("the director's listener is on the host: %v", err)
	}
	talk := func(l *local.Cloud, token string) {
		m := launch(t, l, token, "(echo I am $(hostname); cat) | nc 10.211.4.1 7777")
		conn, err := l.Listener().Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if from, _, _ := net.SplitHostPort(conn.RemoteAddr().String()); err != nil || line != "I am "+token+"\n" || from != m.Address.String() {
			t.Errorf("%s said %q, %v; it is %+v", from, line, err, m)
		}
	}
	talk(l, "n1-1")
	talk(again(t, c, l), "n2-1")
}

// TestPublish: a published port answers on the loopback address of the host, goes on doing so with its open connections
// while there is no director and after its restart, and ends with the machine.
func TestPublish(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	l := start(t, c)
	id, err := l.Launch(t.Context(), cloud.Spec{Token: "web-1", Name: "web", UserData: userData(serve, "nc -l -p 82 -e cat &"), Publish: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	printed(t, l, id, "serving")
	at, err := l.Publish(t.Context(), id, []uint16{80, 81, 82})
	if err != nil || !strings.HasPrefix(at[80], "127.0.0.1:") {
		t.Fatalf("published as %v, %v", at, err)
	}
	echo := kept(t, at[82])
	processes := newHost(t, c.Dir).forwarders(t)
	for range 2 {
		echo("with a director")
		if page, err := get(t, at[80]); err != nil || page != "hello from web" {
			t.Errorf("got %q, %v", page, err)
		}
		if page, err := get(t, at[81]); err == nil {
			t.Errorf("a port where nobody listens gives %q", page)
		}
		if l.Close() != nil {
			t.Fatal(err)
		}
		if page, err := get(t, at[80]); err != nil || page != "hello from web" {
			t.Errorf("without a director the port gives %q, %v", page, err)
		}
		echo("without a director")
		l = start(t, c)
	}
	if now := newHost(t, c.Dir).forwarders(t); len(now) != 1 || !slices.Equal(now, processes) {
		t.Errorf("the forwarders were %v and are %v", processes, now)
	}
	if now, err := l.Publish(t.Context(), id, []uint16{80}); err != nil || now[80] != at[80] {
		t.Errorf("published as %v, %v; before as %v", now, err, at)
	}
	if err := l.Terminate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if page, err := get(t, at[80]); err == nil {
		t.Errorf("after the machine's end the port gives %q", page)
	}
	if left := newHost(t, c.Dir).forwarders(t); len(left) != 0 {
		t.Errorf("after the last machine's end left are the forwarders %v", left)
	}
	if _, err := l.Publish(t.Context(), id, []uint16{80}); cloud.KindOf(err) != cloud.KindNotFound {
		t.Errorf("publish of a terminated machine: %v", err)
	}
}

// kept makes a connection to a port that says back what it is told, and gives how to use it.
func kept(t *testing.T, address string) func(word string) {
	t.Helper()
	var conn net.Conn
	until(t, "the port answers", func() (ok bool) {
		c, err := net.Dial("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(c, "?")
		if _, err2 := io.ReadFull(c, make([]byte, 1)); err != nil || err2 != nil { // nobody listens in the machine yet
			_ = c.Close()
			return false
		}
		conn = c
		return true
	})
	t.Cleanup(func() { _ = conn.Close() })
	return func(word string) {
		t.Helper()
		_, err := io.WriteString(conn, word)
		got := make([]byte, len(word))
		if _, err2 := io.ReadFull(conn, got); err != nil || err2 != nil || string(got) != word {
			t.Errorf("the open connection says %q: %v, %v", got, err, err2)
		}
	}
}

// TestPublishKilled: a forwarder that is killed is started again, by the director that runs and by the next one, and has the
// same ports.
func TestPublishKilled(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	l := start(t, c)
	m := launch(t, l, "web-1", serve)
	printed(t, l, m.ID, "serving")
	at, err := l.Publish(t.Context(), m.ID, []uint16{80})
	if err != nil {
		t.Fatal(err)
	}
	kill := func() {
		t.Helper()
		pids := newHost(t, c.Dir).forwarders(t)
		if len(pids) != 1 {
			t.Fatalf("the forwarders are %v", pids)
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, "it has ended", func() bool { return !slices.Contains(newHost(t, c.Dir).forwarders(t), pids[0]) })
	}
	kill()
	until(t, "the director has started it again", func() bool {
		page, err := get(t, at[80])
		return err == nil && page == "hello from web-1"
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	kill()
	start(t, c)
	if page, err := get(t, at[80]); err != nil || page != "hello from web-1" {
		t.Errorf("the next director's port gives %q, %v", page, err)
	}
}

// TestPublishTaken: a kept port that another program has taken meanwhile is told, and given back when it is free.
func TestPublishTaken(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	l := start(t, c)
	m := launch(t, l, "web-1", serve)
	at, err := l.Publish(t.Context(), m.ID, []uint16{80})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if pid, err := forward.Stop(t.Context(), filepath.Join(c.Dir, "forward")); err != nil || pid == 0 {
		t.Fatalf("ended the forwarder %d, %v", pid, err)
	}
	thief, err := net.Listen("tcp4", at[80])
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	l = start(t, c)
	if now, err := l.Publish(t.Context(), m.ID, []uint16{80}); cloud.KindOf(err) != cloud.KindTransient || !strings.Contains(err.Error(), "taken by another program") {
		t.Errorf("published as %v, %v", now, err)
	}
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	if now, err := l.Publish(t.Context(), m.ID, []uint16{80}); err != nil || now[80] != at[80] {
		t.Errorf("published as %v, %v; before as %v", now, err, at)
	}
}

// TestPublishFull: when all ports are given away, that is said, and a terminated machine gives its own back.
func TestPublishFull(t *testing.T) {
	t.Parallel()
	l := start(t, configuration(t, map[string]string{"PUBLISH_PORTS": "19871-19872"}))
	m := launch(t, l, "web-1")
	if at, err := l.Publish(t.Context(), m.ID, []uint16{80, 81}); err != nil || at[80] == at[81] {
		t.Fatalf("published as %v, %v", at, err)
	}
	other := launch(t, l, "web-2")
	if at, err := l.Publish(t.Context(), other.ID, []uint16{80}); cloud.KindOf(err) != cloud.KindCapacity {
		t.Errorf("published as %v, %v", at, err)
	}
	if err := l.Terminate(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if at, err := l.Publish(t.Context(), other.ID, []uint16{80}); err != nil {
		t.Errorf("published as %v, %v", at, err)
	}
}

// TestNetworkLost: when the cloud's namespace is gone (a director that was started in another mount namespace does not see
// the pin), Start makes a new one and gives running machines their network back.
func TestNetworkLost(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	l := start(t, c)
	m := launch(t, l, "web-1", serve)
	printed(t, l, m.ID, "serving")
	at, err := l.Publish(t.Context(), m.ID, []uint16{80})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mount.Unmount(filepath.Join(c.Dir, "netns")); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	until(t, "the machine is reached again", func() bool { // the old interface is taken down after its bridge
		page, err := get(t, at[80])
		return err == nil && page == "hello from web-1"
	})
}

// TestApart: two clouds with the same settings on one host have the same addresses and do not meet.
func TestApart(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, name := range []string{"first", "second"} {
		l := start(t, configuration(t, nil))
		id, err := l.Launch(t.Context(), cloud.Spec{Token: "web-1", Name: name, UserData: userData(serve), Publish: []uint16{80}})
		if err != nil {
			t.Fatal(err)
		}
		printed(t, l, id, "serving")
		at, err := l.Publish(t.Context(), id, []uint16{80})
		if err != nil {
			t.Fatal(err)
		}
		m, err := l.Describe(t.Context(), id)
		if err != nil || m.Address.String() != "10.210.0.2" {
			t.Errorf("described as %+v, %v", m, err)
		}
		pages = append(pages, at[80])
	}
	for i, name := range []string{"first", "second"} {
		if page, err := get(t, pages[i]); err != nil || page != "hello from "+name {
			t.Errorf("%s gives %q, %v", name, page, err)
		}
	}
}

// TestProcessAddress: a process machine gets the address that was reserved for its token, on which it can listen.
func TestProcessAddress(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess})
	l := start(t, c)
	reserved := l.MachineListen("n1-1")
	l = again(t, c, l)
	id, err := l.Launch(t.Context(), cloud.Spec{
		Token: "n1-1", Publish: []uint16{8080}, UserData: []byte("#!/bin/sh\necho $CONPAAS_LISTEN $CONPAAS_ROOT $HOME\nexec /bin/busybox httpd -f -p $CONPAAS_LISTEN:8080 -h $CONPAAS_ROOT/var/lib/conpaas\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.Describe(t.Context(), id)
	root := filepath.Join(c.Dir, "machines", string(id), "root")
	if err != nil || m.Address.String() != reserved || !strings.HasPrefix(reserved, "127.") || l.OverlayActive() || l.DirectorAddress() != "" || l.Listener() != nil {
		t.Errorf("described as %+v, %v; reserved was %s", m, err, reserved)
	}
	printed(t, l, id, fmt.Sprintf("%s %s %s\n", reserved, root, root))
	if err := os.WriteFile(filepath.Join(root, "var/lib/conpaas/index.html"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := l.Publish(t.Context(), id, []uint16{8080})
	if err != nil || at[8080] != reserved+":8080" {
		t.Fatalf("published as %v, %v", at, err)
	}
	until(t, "the machine answers", func() bool {
		page, err := get(t, at[8080])
		return err == nil && page == "hello"
	})
}
