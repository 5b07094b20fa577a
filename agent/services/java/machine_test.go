package java

import (
	"archive/zip"
	stdbytes "bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/agent/services/hosting"
	"conpaas/client/api"
	"conpaas/client/archive"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Ports of the roles.
const (
	proxyPort   = 8000
	webPort     = 8080
	backendPort = 9000
	redisPort   = 6379
)

// machine is a half on a host, with all three roles.
type machine struct {
	t        *testing.T
	h        *host.Host
	half     *hosting.Half
	runner   *runner
	node     service.Node
	versions []api.CodeBlob
	serving  string
	settings map[string]string
	env      map[string]api.Secret
}

func newMachine(t *testing.T, last byte) *machine {
	t.Helper()
	h := hosttest.New(t)
	r := newRunner()
	m := &machine{
		t: t, h: h, runner: r, serving: api.CodeDefault, versions: []api.CodeBlob{{ID: api.CodeDefault}},
		half: hosting.New(kind(r)),
		node: service.Node{ID: "n1", Service: "shop", Address: netip.AddrFrom4([4]byte{127, 93, byte(os.Getpid()), last})},
	}
	if err := h.State().Mkdir(service.BlobDir, 0o700, host.User{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		m.half.Close()
		if err := m.half.Stop(ctx, h); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s", m.log(catalina))
		}
	})
	return m
}

func (m *machine) log(name string) string {
	data, err := m.h.Logs().Tail(name, 10_000)
	if err != nil {
		m.t.Log(err)
	}
	return string(data)
}

func (m *machine) at(port uint16) netip.AddrPort { return netip.AddrPortFrom(m.node.Address, port) }

func (m *machine) roles() []api.RoleSpec {
	m.t.Helper()
	sessions := api.SessionsStore{Listen: m.at(redisPort), Password: "secret"}
	role := func(r api.Role, config any) api.RoleSpec {
		data, err := json.Marshal(config)
		if err != nil {
			m.t.Fatal(err)
		}
		return api.RoleSpec{Role: r, Config: data}
	}
	server := func(port uint16) []api.Server { return []api.Server{{Node: "n1", Address: m.at(port)}} }
	return []api.RoleSpec{
		role(api.RoleProxy, api.HostingProxyConfig{Port: proxyPort, Version: m.serving, Webs: server(webPort), Sessions: &sessions}),
		role(api.RoleWeb, api.HostingWebConfig{Listen: m.at(webPort), Versions: m.versions, Backends: server(backendPort)}),
		role(api.RoleBackend, api.HostingBackendConfig{Listen: m.at(backendPort), Versions: m.versions, Settings: m.settings, Env: m.env, Sessions: sessions}),
	}
}

// apply calls the half as an agent does until nothing is under work any more.
func (m *machine) apply() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 3*time.Minute)
	defer cancel()
	for {
		errs := m.half.Apply(ctx, m.h, m.node, m.roles())
		again := false
		for r, err := range errs {
			waits, busy := service.Waits(err)
			if again = again || busy; !waits || ctx.Err() != nil {
				m.t.Fatalf("role %s: %v", r, err)
			}
		}
		if !again {
			return
		}
	}
}

// await looks at a role until f takes what it sees.
func (m *machine) await(r api.Role, what string, f func(api.RoleStatus, api.HostingFacts) bool) api.HostingFacts {
	m.t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	for {
		all := m.half.Status(m.t.Context(), m.h, m.node, m.roles())
		i := slices.IndexFunc(all, func(s api.RoleStatus) bool { return s.Role == r })
		var facts api.HostingFacts
		if err := json.Unmarshal(all[i].Facts, &facts); err != nil {
			m.t.Fatal(err)
		}
		if f(all[i], facts) {
			return facts
		}
		select {
		case <-timer.C:
			m.t.Fatalf("this did not happen: %s; the last status: %+v %s", what, all[i], all[i].Facts)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (m *machine) awaitReady() {
	m.t.Helper()
	for _, r := range []api.Role{api.RoleProxy, api.RoleWeb, api.RoleBackend} {
		m.await(r, "it is ready", func(s api.RoleStatus, _ api.HostingFacts) bool { return s.State == api.RoleReady })
	}
}

// instances gives the processes of the machine's Tomcats.
func (m *machine) instances() map[string]int {
	m.t.Helper()
	marks, err := m.h.State().Directories("services/java/tomcat")
	if err != nil {
		m.t.Fatal(err)
	}
	all := map[string]int{}
	for _, mark := range marks {
		s, _ := m.h.Service().State(programName(mark))
		all[mark] = s.PID
	}
	return all
}

// add gives the machine a version, and tells what becomes of it: "" when it may be used.
func (m *machine) add(id string, war []byte) (refused string) {
	m.t.Helper()
	sum := sha256.Sum256(war)
	blob := api.CodeBlob{ID: id, SHA256: hex.EncodeToString(sum[:]), Format: archive.Zip}
	if _, err := m.h.State().Write(service.BlobDir+"/"+blob.SHA256, war, 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.versions = append(m.versions, blob)
	m.apply()
	f := m.await(api.RoleBackend, "it is checked or refused", func(_ api.RoleStatus, f api.HostingFacts) bool {
		return f.Checked[id] || f.Refused[id] != ""
	})
	return f.Refused[id]
}

func (m *machine) serve(id string) {
	m.t.Helper()
	m.serving = id
	m.apply()
	m.await(api.RoleProxy, "it serves the version", func(s api.RoleStatus, f api.HostingFacts) bool {
		return s.State == api.RoleReady && f.Version == id
	})
}

// get gives the status and the body of a page.
func (m *machine) get(c *http.Client, path string, header ...string) (int, string, http.Header) {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, "http://"+m.at(proxyPort).String()+path, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header
}

func (m *machine) page(c *http.Client, path string) string {
	m.t.Helper()
	status, text, _ := m.get(c, path)
	if status != http.StatusOK {
		m.t.Fatalf("%s: %d %s", path, status, text)
	}
	return text
}

func client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Timeout: time.Minute, Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
}

// compiled makes classes of Java source by the compiler that Tomcat has; servlet is the package of the API.
func compiled(t *testing.T, servlet string, sources map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	api := home + "/lib/servlet-api.jar"
	if servlet == "javax" {
		api = oldAPI(t)
	}
	args := []string{"-XX:TieredStopAtLevel=1", "-cp", compiler, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-proc:none", "-nowarn", "-cp", api, "-d", filepath.Join(dir, "out")}
	for name, text := range sources {
		file := filepath.Join(dir, name+".java")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "SERVLET", servlet)), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	if out, err := exec.Command("java", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	all := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "out"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(filepath.Join(dir, "out"), path)
		all["WEB-INF/classes/"+name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// oldAPI makes what of javax.servlet the tests use: the classes of Jakarta under their old names.
func oldAPI(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "javax")
	sources := map[string]string{
		"javax/servlet/Servlet.java":                  "package javax.servlet; public interface Servlet {}",
		"javax/servlet/ServletException.java":         "package javax.servlet; public class ServletException extends Exception {}",
		"javax/servlet/http/HttpSession.java":         "package javax.servlet.http; public interface HttpSession { Object getAttribute(String n); void setAttribute(String n, Object v); boolean isNew(); void invalidate(); String getId(); }",
		"javax/servlet/http/HttpServletRequest.java":  "package javax.servlet.http; public interface HttpServletRequest { HttpSession getSession(); String getRemoteAddr(); String getScheme(); String getParameter(String n); }",
		"javax/servlet/http/HttpServletResponse.java": "package javax.servlet.http; public interface HttpServletResponse { java.io.PrintWriter getWriter() throws java.io.IOException; void flushBuffer() throws java.io.IOException; }",
		"javax/servlet/http/HttpServlet.java": "package javax.servlet.http; public abstract class HttpServlet implements javax.servlet.Servlet {" +
			" protected void doGet(HttpServletRequest q, HttpServletResponse r) throws javax.servlet.ServletException, java.io.IOException {} public void init() throws javax.servlet.ServletException {} }",
	}
	args := []string{"-XX:TieredStopAtLevel=1", "-cp", compiler, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-proc:none", "-nowarn", "-d", out}
	for name, text := range sources {
		file := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	if text, err := exec.Command("java", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// pack makes a .war of files.
func pack(t *testing.T, parts ...map[string]string) []byte {
	t.Helper()
	var out stdbytes.Buffer
	w := zip.NewWriter(&out)
	for _, files := range parts {
		for name, text := range files {
			f, err := w.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(f, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// count is a servlet that counts in the session.
const count = `import SERVLET.servlet.http.*;
public class Count extends HttpServlet {
	protected void doGet(HttpServletRequest q, HttpServletResponse r) throws java.io.IOException {
		HttpSession s = q.getSession();
		if (q.getParameter("end") != null) { s.invalidate(); return; }
		if (q.getParameter("early") != null) r.flushBuffer();
		if (q.getParameter("slow") != null) try { Thread.sleep(1500); } catch (InterruptedException e) { throw new RuntimeException(e); }
		Integer n = (Integer) s.getAttribute("n");
		s.setAttribute("n", n = n == null ? 1 : n + 1);
		r.getWriter().print(n + " VERSION " + q.getRemoteAddr() + " " + q.getScheme() + " " + System.getenv("GREETING") + " " + System.getProperty("user.name") + " " + Runtime.getRuntime().maxMemory() / 1000000);
	}
}`

// mapped is the web.xml of one servlet.
func mapped(class, pattern string) map[string]string {
	return map[string]string{"WEB-INF/web.xml": fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
<servlet><servlet-name>one</servlet-name><servlet-class>%s</servlet-class><load-on-startup>1</load-on-startup></servlet>
<servlet-mapping><servlet-name>one</servlet-name><url-pattern>%s</url-pattern></servlet-mapping>
</web-app>`, class, pattern)}
}

func shop(t *testing.T, id, servlet string) []byte {
	t.Helper()
	return pack(t, compiled(t, servlet, map[string]string{"Count": strings.ReplaceAll(count, "VERSION", id)}), mapped("Count", "/count"),
		map[string]string{"style.css": "body {} /* " + id + " */", "x.jsp": "<%= 6 * 7 %>", "sub/a.txt": "in a directory", ".secret": "hidden"})
}
