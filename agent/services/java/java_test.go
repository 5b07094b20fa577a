package java

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/client/api"
)

// A program is uploaded as a .war, takes the place of the page, and keeps its sessions over another version, other settings and the
// death of its Tomcat.
func TestJava(t *testing.T) {
	m := newMachine(t, 1)
	m.runner.late = 0
	m.apply()
	m.awaitReady()
	c := client(t)
	if text := m.page(c, "/"); !strings.Contains(text, "This Java service is ready") || !strings.Contains(text, "It runs Java 17") {
		t.Errorf("the welcome page is:\n%s", text)
	}
	if text := m.page(c, "/welcome.css"); !strings.Contains(text, "font-family") {
		t.Errorf("its style is:\n%s", text)
	}
	if refused := m.add("code-aaaaa1", shop(t, "code-aaaaa1", "jakarta")); refused != "" {
		t.Fatal(refused)
	}
	m.serve("code-aaaaa1")
	for path, want := range map[string]string{"/style.css": "body {} /* code-aaaaa1 */", "/x.jsp": "42", "/sub/a.txt": "in a directory"} {
		if text := m.page(c, path); text != want {
			t.Errorf("%s is %q, want %q", path, text, want)
		}
	}
	if text := m.page(c, "/count"); text != "1 code-aaaaa1 127.0.0.1 http null www-data 129" && !strings.HasPrefix(text, "1 code-aaaaa1 127.0.0.1 http null www-data 1") {
		t.Errorf("the first count is %q", text)
	}
	for _, path := range []string{"/WEB-INF/web.xml", "/web-inf/web.xml", "/WEB-INF/classes/Count.class", "/sub/../WEB-INF/web.xml", "/%57EB-INF/web.xml", "/.secret", "/.conpaas/status", "/.conpaas/ping", "/sub/", "/no"} {
		if status, text, header := m.get(c, path); status != http.StatusNotFound || strings.Contains(text, "Tomcat") || strings.Contains(header.Get("Server"), "Tomcat") {
			t.Errorf("%s: %d %s %v", path, status, text, header)
		}
	}
	if text := m.log(accessLog); strings.Contains(text, "style.css") || !strings.Contains(text, `"GET /count HTTP/1.1" 200`) {
		t.Errorf("Tomcat has had these requests:\n%s", text)
	}

	// Another version, and another environment: the session goes on.
	if refused := m.add("code-bbbbb2", shop(t, "code-bbbbb2", "jakarta")); refused != "" {
		t.Fatal(refused)
	}
	slow := make(chan string, 1)
	go func() {
		_, text, _ := m.get(client(t), "/count?slow=1")
		slow <- text
	}()
	m.await(api.RoleBackend, "the slow request has begun", func(_ api.RoleStatus, f api.HostingFacts) bool { return f.Active > 0 })
	m.serve("code-bbbbb2")
	if text := m.page(c, "/count"); !strings.HasPrefix(text, "2 code-bbbbb2 ") {
		t.Errorf("after the switch: %q", text)
	}
	m.versions = m.versions[2:]
	m.env = map[string]api.Secret{"GREETING": "good morning,\nyou"}
	m.settings = map[string]string{"max_heap": "96M", "max_threads": "50", "max_post_size": "1M", "request_timeout": "60"}
	m.apply()
	m.awaitReady()
	if text := <-slow; !strings.HasPrefix(text, "1 code-aaaaa1 ") {
		t.Errorf("the slow request: %q", text)
	}
	if text := m.page(c, "/count"); !strings.HasPrefix(text, "3 code-bbbbb2 127.0.0.1 http good morning,\nyou www-data 9") && !strings.HasPrefix(text, "3 code-bbbbb2 127.0.0.1 http good morning,\nyou www-data 1") {
		t.Errorf("with other settings: %q", text)
	}
	m.await(api.RoleBackend, "one instance is left", func(api.RoleStatus, api.HostingFacts) bool { return len(m.instances()) == 1 })
	var before int
	for _, before = range m.instances() {
	}
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.await(api.RoleBackend, "another Tomcat serves", func(s api.RoleStatus, _ api.HostingFacts) bool {
		for _, now := range m.instances() {
			return now != before && s.State == api.RoleReady
		}
		return false
	})
	if text := m.page(c, "/count"); !strings.HasPrefix(text, "4 code-bbbbb2 ") {
		t.Errorf("after the kill: %q", text)
	}
	if status, _, _ := m.get(c, "/count?end=1"); status != http.StatusOK {
		t.Error(status)
	}
	if text := m.page(c, "/count"); !strings.HasPrefix(text, "1 code-bbbbb2 ") {
		t.Errorf("a session after it was ended: %q", text)
	}

	// Two requests of a session come one after the other.
	first := make(chan time.Time, 1)
	go func() {
		m.get(c, "/count?slow=1")
		first <- time.Now()
	}()
	m.await(api.RoleBackend, "the slow request has begun", func(_ api.RoleStatus, f api.HostingFacts) bool { return f.Active > 0 })
	if text := m.page(c, "/count"); !strings.HasPrefix(text, "3 ") {
		t.Errorf("beside a slow request: %q", text)
	}
	<-first

	// A visitor who knows a new session before the request that has begun it ends waits for that.
	c = client(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+m.at(proxyPort).String()+"/count?early=1&slow=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text := m.page(c, "/count"); !strings.HasPrefix(text, "2 ") {
		t.Errorf("beside the request that begins the session: %q", text)
	}
}

// What cannot be used is refused with its reason, and the old version serves on.
func TestRefusedVersions(t *testing.T) {
	m := newMachine(t, 2)
	m.runner.late = 0
	m.apply()
	broken := pack(t, compiled(t, "jakarta", map[string]string{"Broken": `public class Broken extends SERVLET.servlet.http.HttpServlet {
		public void init() { throw new IllegalStateException("no database at db.example.org"); } }`}), mapped("Broken", "/"))
	ending := pack(t, compiled(t, "jakarta", map[string]string{"Ending": `public class Ending extends SERVLET.servlet.http.HttpServlet {
		public void init() { Runtime.getRuntime().halt(3); } }`}), mapped("Ending", "/"))
	for id, c := range map[string]struct {
		war  []byte
		want string
	}{
		"code-ending": {ending, "Tomcat ends while it starts it: exit status 3"},
		"code-broken": {broken, "no database at db.example.org"},
		"code-nothin": {pack(t, mapped("Nowhere", "/")), "Nowhere"},
		"code-badxml": {pack(t, map[string]string{"WEB-INF/web.xml": "<web-app><servlet>"}), "web.xml"},
		"code-nested": {pack(t, map[string]string{"shop.war": "no archive"}), "shop.war"},
		"code-unsafe": {pack(t, map[string]string{"../a.txt": "x"}), ".."},
	} {
		if refused := m.add(id, c.war); !strings.Contains(refused, c.want) {
			t.Errorf("%s: it is refused by %q, want %q in it", id, refused, c.want)
		} else {
			t.Logf("%s: %s", id, refused)
		}
	}
	if len(m.instances()) != 1 {
		t.Errorf("these instances are left: %v", m.instances())
	}
	if text := m.page(client(t), "/"); !strings.Contains(text, "This Java service is ready") {
		t.Errorf("it serves %q", text)
	}
}

// A program that was ended from outside while it started is started once more.
func TestCheckGoesOn(t *testing.T) {
	m := newMachine(t, 4)
	m.apply()
	dir := t.TempDir()
	mark := filepath.Join(dir, "ended")
	err := errors.Join(os.WriteFile(mark, nil, 0o666), os.Chmod(dir, 0o777), os.Chmod(filepath.Dir(dir), 0o755)) // for the user of programs
	if err != nil {
		t.Fatal(err)
	}
	war := pack(t, compiled(t, "jakarta", map[string]string{"Once": `public class Once extends SERVLET.servlet.http.HttpServlet {
		public void init() { if (new java.io.File("` + mark + `").delete()) Runtime.getRuntime().halt(137); } }`}), mapped("Once", "/"))
	if refused := m.add("code-once12", war); refused != "" {
		t.Errorf("it is refused: %s", refused)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it was not ended")
	}
}

// A program made for javax is converted, wherever in the archive it is.
func TestConversion(t *testing.T) {
	m := newMachine(t, 3)
	war := shop(t, "code-javax1", "javax")
	if refused := m.add("code-javax1", pack(t, map[string]string{"shop.WAR": string(war)})); refused != "" {
		t.Fatal(refused)
	}
	m.serve("code-javax1")
	c := client(t)
	if text := m.page(c, "/count"); !strings.HasPrefix(text, "1 code-javax1 ") {
		t.Errorf("it counts %q", text)
	}
	if text := m.log(catalina); !strings.Contains(text, "code-javax1 conpaas: it was made for javax.servlet and is run converted") {
		t.Errorf("the log does not say that it was converted:\n%s", text)
	}
}
