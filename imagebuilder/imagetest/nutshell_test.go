package imagetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// shell is a nutshell that runs, in an emulated machine whose network is qemu's own.
type shell struct {
	dir, url, home string
}

// powerOn boots a nutshell by its own loader. Its director is at a port of 127.0.0.1.
func powerOn(t *testing.T, image string) shell {
	t.Helper()
	s := shell{dir: t.TempDir(), home: t.TempDir()}
	port := freePort(t)
	s.url = "https://localhost:" + port
	disk := filepath.Join(s.dir, "disk.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", disk).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v: %s", err, out)
	}
	c := exec.Command("qemu-system-x86_64", "-name", "nutshell", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
		"-smp", "2", "-m", "2048", "-accel", "tcg", "-cpu", "max,la57=off", "-drive", "if=virtio,format=qcow2,file="+disk,
		"-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:"+port+"-:5555", "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci",
		"-serial", "file:"+s.console(), "-monitor", "unix:"+s.monitor()+",server=on,wait=off")
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // its disk is thrown away
		_ = c.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(s.console())
			t.Logf("qemu: %s\nconsole: %s", said.String(), text)
		}
	})
	return s
}

func (s shell) console() string { return filepath.Join(s.dir, "console") }
func (s shell) monitor() string { return filepath.Join(s.dir, "monitor") }

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// says waits until the console has printed something and gives its first group.
func (s shell) says(t *testing.T, pattern string, patience time.Duration) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		text, err := os.ReadFile(s.console())
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(pattern).FindSubmatch(text); found != nil {
			return string(found[1])
		}
	}
	t.Fatalf("the console does not show %s within %s", pattern, patience)
	return ""
}

// forward makes a port of the machine one of 127.0.0.1.
func (s shell) forward(t *testing.T, port string) string {
	t.Helper()
	c, err := net.Dial("unix", s.monitor())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	own, said := freePort(t), bufio.NewReader(c)
	prompt := func() {
		for text := ""; !strings.HasSuffix(text, "(qemu) "); {
			b, err := said.ReadByte()
			if err != nil {
				t.Fatalf("qemu's monitor: %v: %q", err, text)
			}
			text += string(b)
		}
	}
	prompt()
	if _, err := fmt.Fprintf(c, "hostfwd_add net tcp:127.0.0.1:%s-:%s\n", own, port); err != nil {
		t.Fatal(err)
	}
	prompt() // it is done
	return own
}

// cps runs the client on this host, with what is to be read.
func (s shell) cps(t *testing.T, in string, args ...string) string {
	t.Helper()
	begun := time.Now()
	program, err := filepath.Abs("../../bin/cps")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Env, c.Stdin = append(os.Environ(), "CONPAAS_HOME="+s.home), strings.NewReader(in)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	err = c.Run()
	t.Logf("%.1f s: cps %s: %v\n%s", time.Since(begun).Seconds(), strings.Join(args, " "), err, said.String())
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestNutshell: a person who has nothing but the image starts it, reads on its console how to come in, and has a service
// run whose page is seen from outside.
func TestNutshell(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nutshell.cfg")
	text := "[image]\nformat = qcow2\n[services]\nphp = off\njava = off\nmysql = off\n[nutshell]\nnutshell = true\nhostname = localhost\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	built := image(t, "--recipe", file)
	t.Cleanup(func() { // every version of the programs makes another one, of which the cache would be full
		files, err := filepath.Glob(strings.TrimSuffix(built, "qcow2") + "*")
		for _, name := range files {
			err = errors.Join(err, os.Remove(name))
		}
		if err != nil || len(files) == 0 {
			t.Errorf("%v: %v", files, err)
		}
	})
	begun := time.Now()
	s := powerOn(t, built)
	password := s.says(t, `The password of root at this console, and of the user admin, was made as: ([a-z0-9-]{23})`, 6*time.Minute)
	fingerprint := s.says(t, `CA fingerprint: (SHA256:[0-9A-F:]{95})`, time.Second)
	t.Logf("%.1f s after power-on the console says how to come in", time.Since(begun).Seconds())
	s.cps(t, password+"\n", "login", s.url, "--username", "admin", "--password-file", "-", "--fingerprint", fingerprint)
	if out := s.cps(t, "", "cloud", "check", "default", "-o", "json"); strings.Contains(out, `"ok": false`) {
		t.Fatalf("the cloud cannot have machines:\n%s", out)
	}
	s.cps(t, "", "application", "create", "shop")
	s.cps(t, "", "service", "add", "helloworld", "shop")
	s.cps(t, "", "service", "start", "shop", "helloworld")
	page := pageOf(t, s.cps(t, "", "service", "show", "shop", "helloworld", "-o", "json"))
	at := s.forward(t, page.Port())
	client := http.Client{Timeout: time.Minute}
	answer, err := client.Get("http://127.0.0.1:" + at)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(strings.ToLower(string(body)), "hello") {
		t.Errorf("the page is %s, %v:\n%s", answer.Status, err, body)
	}
	t.Logf("%.1f s after power-on its page is seen from outside", time.Since(begun).Seconds())
}

// pageOf gives the address of a service's page.
func pageOf(t *testing.T, text string) *url.URL {
	t.Helper()
	var service struct {
		Endpoints []struct{ URL string }
	}
	if err := json.Unmarshal([]byte(text), &service); err != nil || len(service.Endpoints) == 0 {
		t.Fatalf("the service has no page, %v:\n%s", err, text)
	}
	page, err := url.Parse(service.Endpoints[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	return page
}
