package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"conpaas/director/cloud/local/userns/usernstest"
)

// builtIn is the folder of the programs, once they are built.
var builtIn string

// programs are built once per run of the tests, from the tree that is being tested.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "conpaas-bin-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	if err := os.Chmod(dir, 0o755); err != nil { // other users run them as well
		return "", err
	}
	for name, folder := range map[string]string{
		"cps": "client", "cpsdirector": "director", "cpsmanager": "manager", "cpsagent": "agent", "cpsimage": "imagebuilder",
	} {
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), "./"+folder)
		build.Dir = "../.."
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // the programs of machines must run on any of them
		if name == "cpsdirector" {
			build.Env = append(os.Environ(), "CGO_ENABLED=1")
		}
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

// world is one installation: a director with its data, and a user's home.
type world struct {
	t       testing.TB
	bin     string
	dir     string           // everything of this world is below
	runtime string           // process or container
	user    *usernstest.User // who runs the programs; nil: root
	port    int
	options []string // more lines for [iaas]
	code    string   // folder of what machines download; "": that of the programs
	cmd     *exec.Cmd
	killed  int           // daemons of machines, by tests
	ended   chan struct{} // closed when cmd has been waited for
}

// newWorld makes an installation with the given runtime of the local cloud; nothing runs yet. The caller closes it.
func newWorld(t testing.TB, dir, runtime string, options ...string) *world {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, bin: bin, dir: dir, runtime: runtime, port: freePort(t), options: options}
	if runtime == "container" {
		w.options = append(w.options, "ROOTFS = "+rootfs(t))
	}
	w.configure()
	return w
}

// configure writes the configuration file.
func (w *world) configure() {
	w.t.Helper()
	w.write("director.cfg", fmt.Sprintf("[conpaas]\nDEPLOYMENT_NAME = e2e\n\n[iaas]\nDRIVER = local\nRUNTIME = %s\n%s\n\n[director]\nDIRECTOR_URL = %s\n",
		w.runtime, strings.Join(w.options, "\n"), w.url()))
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (w *world) url() string             { return fmt.Sprintf("https://localhost:%d", w.port) }
func (w *world) data() string            { return filepath.Join(w.dir, "data") }
func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// env is what the world's programs see.
func (w *world) env() []string {
	return append(os.Environ(), "HOME="+w.path("home"), "CONPAAS_HOME=", "PATH="+w.bin+":"+os.Getenv("PATH"), "NO_COLOR=1")
}

// start starts the director and waits until it answers.
func (w *world) start() {
	w.t.Helper()
	out, err := os.OpenFile(w.path("director.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	cmd := w.command("cpsdirector", "serve", "--config", w.path("director.cfg"),
		"--data", w.data(), "--listen", fmt.Sprintf("127.0.0.1:%d", w.port), "--code", cmp.Or(w.code, w.bin))
	said, err := os.Create(w.path("director.out"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	w.cmd, w.ended = cmd, ended
	w.eventually(30*time.Second, "the director answers", func() error {
		select {
		case <-ended:
			w.t.Fatalf("the director ended:\n%s", w.directorEnd())
		default:
		}
		if content, err := os.ReadFile(w.path("director.out")); err != nil || !bytes.Contains(content, []byte("log in with")) {
			return errors.New("it has not said how to log in")
		}
		return nil
	})
}

// signal sends a signal to the director; with a deadly one it waits for the end.
func (w *world) signal(sig syscall.Signal) {
	w.t.Helper()
	if w.cmd == nil {
		return
	}
	_ = w.cmd.Process.Signal(sig)
	select {
	case <-w.ended:
	case <-time.After(30 * time.Second):
		w.t.Errorf("the director does not end on %v; it is killed\n%s", sig, w.directorEnd())
		_ = w.cmd.Process.Kill()
		<-w.ended
	}
	w.cmd = nil
}

func (w *world) kill() { w.signal(syscall.SIGKILL) }
func (w *world) stop() { w.signal(syscall.SIGTERM) }

// close ends the director and cleans its cloud; every world must be able to leave nothing behind.
func (w *world) close() {
	w.kill()
	out, err := w.command("cpsdirector", "cloud", "clean", "--config", w.path("director.cfg"), "--data", w.data()).CombinedOutput()
	if err != nil {
		w.t.Errorf("cloud clean: %v\n%s", err, out)
	}
	if w.t.Failed() {
		w.t.Logf("director log:\n%s", w.directorEnd())
	}
}

// directorLog is all that the directors of this world have logged.
func (w *world) directorLog() string {
	content, _ := os.ReadFile(w.path("director.log"))
	return string(content)
}

// directorEnd is the end of directorLog, for people.
func (w *world) directorEnd() string {
	const most = 30_000
	log := w.directorLog()
	return log[max(0, len(log)-most):]
}

func (w *world) command(name string, args ...string) *exec.Cmd {
	if w.user != nil {
		return w.user.Command(w.env(), filepath.Join(w.bin, name), args...)
	}
	cmd := exec.Command(filepath.Join(w.bin, name), args...)
	cmd.Env, cmd.Dir = w.env(), w.dir
	return cmd
}

// try runs cps and gives its standard output.
func (w *world) try(args ...string) (string, error) {
	cmd := w.command("cps", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("cps %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// cps runs cps, which must succeed.
func (w *world) cps(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// login logs the administrator in, trusting the CA of the data folder.
func (w *world) login() {
	w.t.Helper()
	w.cps("login", w.url(), "--username", "admin", "--password-file", filepath.Join(w.data(), "admin-password"),
		"--ca", filepath.Join(w.data(), "ca.pem"))
}

// eventually waits until ok gives nil.
func (w *world) eventually(limit time.Duration, what string, ok func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = ok(); last == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("not within %v: %s: %v", limit, what, last)
		case <-tick.C:
		}
	}
}

// rootfs gives the root file system of the machines, made once and cached by cpsimage.
var rootfsOnce = sync.OnceValues(func() (string, error) {
	bin, err := programs()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(bin, "cpsimage"), "build", "--format", "rootfs")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cpsimage build: %w\n%s", err, errs.String())
	}
	path := strings.TrimSpace(string(out))
	if path == "" {
		return "", errors.New("cpsimage build printed no path")
	}
	return path, nil
})

func rootfs(t testing.TB) string {
	t.Helper()
	path, err := rootfsOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
