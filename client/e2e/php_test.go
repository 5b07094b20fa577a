package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// loadScript is what wrk asks for: half of the requests run PHP with a session and 200 ms of work; of the others some
// post, some load a large file, some end their connection, the rest are static.
const loadScript = `
local count = 0
request = function()
  count = count + 1
  local kind = count % 10
  if kind < 5 then
    return wrk.format("GET", "/work.php", {["Cookie"] = "PHPSESSID=load" .. (count % 7)})
  elseif kind == 5 then
    return wrk.format("POST", "/post.php", {["Content-Type"] = "application/x-www-form-urlencoded"}, "word=hello")
  elseif kind == 6 then
    return wrk.format("GET", "/large.bin")
  elseif kind == 7 then
    return wrk.format("GET", "/templates/plain.css", {["Connection"] = "close"})
  end
  return wrk.format("GET", "/gfx/sort_asc.png")
end
`

// wrk is a load on a running service.
type wrk struct {
	cmd *exec.Cmd
	out *strings.Builder
}

func startWrk(t *testing.T, url string, seconds int) *wrk {
	t.Helper()
	script := filepath.Join(t.TempDir(), "load.lua")
	if err := os.WriteFile(script, []byte(loadScript), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &wrk{out: &strings.Builder{}}
	l.cmd = exec.Command("wrk", "-t", "2", "-c", "8", "-d", strconv.Itoa(seconds)+"s", "--timeout", "10s", "-s", script, url)
	l.cmd.Stdout, l.cmd.Stderr = l.out, l.out
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

var (
	wrkTotal  = regexp.MustCompile(`(\d+) requests in`)
	wrkErrors = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)|Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// wait waits for the end of the load and gives how many requests were sent, and how many failed in any way.
func (l *wrk) wait(t *testing.T) (sent, failed int) {
	t.Helper()
	if err := l.cmd.Wait(); err != nil {
		t.Fatalf("wrk: %v\n%s", err, l.out)
	}
	total := wrkTotal.FindStringSubmatch(l.out.String())
	if total == nil {
		t.Fatalf("wrk said nothing of its requests:\n%s", l.out)
	}
	sent, _ = strconv.Atoi(total[1])
	for _, m := range wrkErrors.FindAllStringSubmatch(l.out.String(), -1) {
		for _, number := range m[1:] {
			n, _ := strconv.Atoi(number)
			failed += n
		}
	}
	return sent, failed
}

// phpSysInfo gives an archive with the code of phpSysInfo from its Debian package, and three pages for the load. Each
// page names the version.
func phpSysInfo(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	get := exec.Command("apt-get", "download", "phpsysinfo")
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		t.Fatalf("apt-get download phpsysinfo: %v\n%s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("packages %v, %v", packages, err)
	}
	if out, err := exec.Command("dpkg", "-x", packages[0], filepath.Join(dir, "x")).CombinedOutput(); err != nil {
		t.Fatalf("dpkg: %v\n%s", err, out)
	}
	root := filepath.Join(dir, "x/usr/share/phpsysinfo")
	// As its owner would do to run it elsewhere than Debian puts it: the settings beside the code, no links to other packages.
	prepare := exec.Command("sh", "-euc", `find . -type l -delete
		cp ../../../etc/phpsysinfo/phpsysinfo.ini .
		sed -i "s#'/etc/phpsysinfo/phpsysinfo.ini'#__DIR__ . '/phpsysinfo.ini'#" read_config.php`)
	prepare.Dir = root
	if out, err := prepare.CombinedOutput(); err != nil {
		t.Fatalf("prepare phpSysInfo: %v\n%s", err, out)
	}
	for name, content := range map[string]string{
		"work.php":  `<?php session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; usleep(200000); echo "` + version + ` work ", $_SESSION["n"];`,
		"post.php":  `<?php if ($_SERVER["REQUEST_METHOD"] !== "POST" || $_POST["word"] !== "hello") { http_response_code(400); } echo "` + version + ` posted";`,
		"large.bin": strings.Repeat("0123456789abcdef", 64<<10),
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(dir, version+".tar.gz")
	if out, err := exec.Command("tar", "-czf", archive, "-C", root, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	return archive
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	return string(body)
}

// A program that people really run is deployed, scaled from one backend to three and back, gets another version and loses a
// machine, all under load.
func TestPHPProgramUnderLoad(t *testing.T) {
	w := newWorld(t, t.TempDir(), "container")
	t.Cleanup(w.close)
	w.start()
	w.login()
	w.cps("application", "create", "shop")
	w.cps("service", "add", "php", "shop")
	w.cps("service", "start", "shop", "php")
	w.cps("php", "upload-code", "shop", "php", phpSysInfo(t, "first"), "--enable")
	url := w.endpointsOf("php")[0]
	if page := fetch(t, url+"/xml.php"); !strings.Contains(page, "<Vitals Hostname=") {
		t.Errorf("phpSysInfo tells nothing of the machine: %.300s", page)
	}
	if page := fetch(t, url+"/templates/plain.css"); !strings.Contains(page, "{") {
		t.Errorf("no style sheet: %.100s", page)
	}

	second := phpSysInfo(t, "second")
	load := startWrk(t, url, 40)
	w.cps("service", "add-nodes", "shop", "php", "--backend", "3")
	w.cps("php", "upload-code", "shop", "php", second, "--enable")
	if page := fetch(t, url+"/work.php"); !strings.HasPrefix(page, "second ") {
		t.Errorf("after the change of versions: %q", page)
	}
	w.cps("service", "remove-nodes", "shop", "php", "--backend", "2")
	w.cps("service", "add-nodes", "shop", "php", "--backend", "2")
	sent, failed := load.wait(t)
	t.Logf("scaling and a new version: %d requests, %d failed", sent, failed)
	if failed > 0 || sent == 0 {
		t.Errorf("%d of %d requests failed:\n%s", failed, sent, load.out)
	}

	w.loseUnderLoad(t, url, api.RoleBackend, fpmPort)
	w.cps("service", "add-nodes", "shop", "php", "--web", "2")
	w.loseUnderLoad(t, url, api.RoleWeb, nginxPort)
	if page := fetch(t, url+"/work.php"); !strings.HasPrefix(page, "second ") {
		t.Errorf("after the loss: %q", page)
	}
}

// loseUnderLoad destroys a machine of a role, and checks that only what was under way there may fail, that nothing
// hangs, and that the machine is replaced.
func (w *world) loseUnderLoad(t *testing.T, url string, role api.Role, port int) {
	t.Helper()
	load := startWrk(t, url, 25)
	visitors := startKept(t, url+"/work.php")
	nodes := w.nodes()
	i := slices.IndexFunc(nodes, func(n api.Node) bool { return n.Role == role })
	lost := nodes[i].ID
	machine := w.machine(lost)
	w.eventually(30*time.Second, "the load is under way", func() error {
		if err := machine.serves(port, 2); err != nil {
			return err
		}
		return visitors.allAnswered(time.Time{})
	})
	loss := time.Now()
	machine.destroy()
	w.eventually(2*hang, "every visitor is answered again", func() error { return visitors.allAnswered(loss) })
	w.eventually(90*time.Second, "the machine is replaced", func() error { return w.replaced(lost, len(nodes)-1) })
	visitors.stop(t, loss)
	sent, failed := load.wait(t)
	t.Logf("a lost %s: %d requests, %d failed", role, sent, failed)
	if failed > inFlight {
		t.Errorf("%d of %d requests failed, at most those in flight on the lost machine (%d) may:\n%s", failed, sent, inFlight, load.out)
	}
}

// Where php-fpm and nginx take requests on their machines.
const (
	fpmPort   = 9000
	nginxPort = 8080
)

// serves tells whether at least so many connections to a TCP port of the machine are open.
func (m machine) serves(port, count int) error {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", m.Task.PID))
	if err != nil {
		return err
	}
	const established = "01"
	open := 0
	for line := range strings.Lines(string(table)) { // 0: 030010AC:2328 020010AC:C350 01 …
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == established {
			open++
		}
	}
	if open < count {
		return fmt.Errorf("%d connections to port %d are open, want %d", open, port, count)
	}
	return nil
}

// inFlight is how many requests wrk has under way at most.
const inFlight = 8

// endpointsOf gives the addresses at which a service of shop is reached.
func (w *world) endpointsOf(service string) []string {
	w.t.Helper()
	urls, err := w.tryEndpointsOf(service)
	if err != nil {
		w.t.Fatal(err)
	}
	return urls
}

func (w *world) tryEndpointsOf(service string) ([]string, error) {
	out, err := w.try("service", "show", "shop", service, "-o", "json")
	urls := fieldsOf(out, "url")
	if err == nil && len(urls) == 0 {
		err = fmt.Errorf("service %s has no address: %s", service, out)
	}
	return urls, err
}
