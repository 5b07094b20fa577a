package app

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/certs/ca"
	"conpaas/client/api"
	"conpaas/director/userdata"
)

// bootServer serves a Code as the director does, with a place to misbehave, and boots a machine against it.
type bootServer struct {
	*httptest.Server
	code   *Code
	before func(w http.ResponseWriter, r *http.Request) (handled bool)
	hits   atomic.Int32
	host   string // CONPAAS_CODE of the machine
}

func newBootServer(t *testing.T) *bootServer {
	t.Helper()
	from := t.TempDir()
	for _, name := range programs {
		script := "#!/bin/sh\necho \"started " + name + " $*\"\n# " + strings.Repeat("x", 100_000) + "\n"
		if err := os.WriteFile(filepath.Join(from, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	code, err := OpenCode(t.TempDir(), from, arch(t), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &bootServer{code: code}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		if s.before != nil && s.before(w, r) {
			return
		}
		f, err := code.Open(strings.TrimPrefix(r.URL.Path, "/download/code/"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer f.Close()
		http.ServeContent(w, r, "", time.Time{}, f)
	}))
	t.Cleanup(s.Close)
	return s
}

func arch(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("uname", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// boot runs the user-data of an agent with root as its machine until it ends or the time is up.
func (s *bootServer) boot(t *testing.T, root string, limit time.Duration, change func(*api.Bootstrap)) (string, error) {
	t.Helper()
	b := api.Bootstrap{
		Director: "https://example.com:5555", Address: s.Listener.Addr().String(),
		CA:   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})),
		Kind: api.KindAgent, Node: "n1", Token: "it's $(a) `token`", Issued: time.Now().UTC(), Code: s.code.Pin(),
	}
	if change != nil {
		change(&b)
	}
	script, err := userdata.Script(b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-s")
	cmd.Stdin = strings.NewReader(string(script))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CONPAAS_ROOT=" + root, "CONPAAS_LISTEN=127.9.9.9", "CONPAAS_CODE=" + s.host}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestMachineBoots(t *testing.T) {
	t.Parallel()
	s := newBootServer(t)
	root := t.TempDir()
	out, err := s.boot(t, root, time.Minute, nil)
	if err != nil || !strings.Contains(out, "started cpsagent init --root "+root) {
		t.Fatalf("boot: %v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(root, "var/lib/conpaas/bootstrap.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"it's $(a) `token`", `"listen":"127.9.9.9"`} {
		if !strings.Contains(string(content), want) {
			t.Errorf("bootstrap.json lacks %q: %s", want, content)
		}
	}

	before := s.hits.Load()
	if out, err = s.boot(t, root, time.Minute, nil); err != nil || !strings.Contains(out, "started cpsagent") {
		t.Fatalf("second boot: %v\n%s", err, out)
	}
	if got := s.hits.Load() - before; got != 2 {
		t.Errorf("the second boot made %d requests, want 2: manifest and signature, not the program again", got)
	}
}

// What the image has for the first boot runs before the program, until it succeeds, and keeps no machine from joining.
func TestFirstBootScriptOfTheImageRunsOnce(t *testing.T) {
	t.Parallel()
	s := newBootServer(t)
	root := t.TempDir()
	script := filepath.Join(root, "usr/share/conpaas/firstboot")
	write := func(text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(script), 0o755), os.WriteFile(script, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	boot := func() string {
		t.Helper()
		out, err := s.boot(t, root, time.Minute, nil)
		if err != nil || !strings.Contains(out, "started cpsagent") {
			t.Fatalf("boot: %v\n%s", err, out)
		}
		return out
	}
	write("#!/bin/sh\nexit 7\n")
	if out := boot(); !strings.Contains(out, "has failed with status 7") {
		t.Errorf("nobody is told of the failure:\n%s", out)
	}
	write("#!/bin/sh\necho prepared\n")
	if out := boot(); strings.Index(out, "prepared") > strings.Index(out, "started cpsagent") || !strings.Contains(out, "prepared") {
		t.Errorf("it did not run before the program:\n%s", out)
	}
	if out := boot(); strings.Contains(out, "prepared") {
		t.Errorf("it ran twice:\n%s", out)
	}
}

// A machine that boots again after its first CA certificate was retired trusts the one that it has been given since.
func TestMachineBootsAfterARotation(t *testing.T) {
	t.Parallel()
	s := newBootServer(t)
	root := t.TempDir()
	old, err := ca.New("conpaas", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	retired := func(b *api.Bootstrap) { b.CA = string(old.CertificatePEM()) }
	if out, _ := s.boot(t, root, 3*time.Second, retired); strings.Contains(out, "started") {
		t.Fatalf("it trusts everybody:\n%s", out)
	}
	tls := filepath.Join(root, "var/lib/conpaas/state/tls")
	now := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := errors.Join(os.MkdirAll(tls, 0o700), os.WriteFile(filepath.Join(tls, "ca.pem"), now, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := s.boot(t, root, time.Minute, retired); err != nil || !strings.Contains(out, "started cpsagent") {
		t.Errorf("boot: %v\n%s", err, out)
	}
}

func TestMachineResumesDownload(t *testing.T) {
	t.Parallel()
	s := newBootServer(t)
	var ranges []string
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/cpsagent") {
			return false
		}
		ranges = append(ranges, r.Header.Get("Range"))
		if len(ranges) > 1 {
			return false
		}
		w.Header().Set("Content-Length", "100100")
		_, _ = w.Write(make([]byte, 0))
		f, _ := s.code.Open(strings.TrimPrefix(r.URL.Path, "/download/code/"))
		defer f.Close()
		half := make([]byte, 50_000)
		_, _ = f.Read(half)
		_, _ = w.Write(half)
		panic(http.ErrAbortHandler) // the connection breaks in the middle
	}
	out, err := s.boot(t, t.TempDir(), time.Minute, nil)
	if err != nil || !strings.Contains(out, "started cpsagent") {
		t.Fatalf("boot: %v\n%s", err, out)
	}
	if len(ranges) != 2 || ranges[1] != "bytes=50000-" {
		t.Errorf("ranges %q, want the second request to continue at 50000", ranges)
	}
}

func TestMachineRunsNothingUnverified(t *testing.T) {
	t.Parallel()
	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path, body, want string
	}{
		"changed program":   {"/cpsagent", "#!/bin/sh\necho started evil\n", "has not the digest of the manifest"},
		"changed manifest":  {"/manifest", "conpaas-code evil\n", "signature of the code is wrong"},
		"foreign signature": {"/manifest.sig", string(ed25519.Sign(foreign, []byte("x"))), "signature of the code is wrong"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBootServer(t)
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, test.path) {
					return false
				}
				_, _ = w.Write([]byte(test.body))
				return true
			}
			out, _ := s.boot(t, t.TempDir(), 3*time.Second, nil)
			if !strings.Contains(out, test.want) || strings.Contains(out, "started") {
				t.Errorf("output %q, want %q and nothing started", out, test.want)
			}
		})
	}
}

// A machine whose image or host has the code runs that and fetches nothing, also when it boots again.
func TestMachineHasTheCode(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]func(t *testing.T, s *bootServer, root string){
		"image": func(t *testing.T, s *bootServer, root string) { s.shelve(t, root) },
		"host":  func(_ *testing.T, s *bootServer, _ string) { s.host = s.code.dir },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, root := newBootServer(t), t.TempDir()
			give(t, s, root)
			for range 2 {
				if out, err := s.boot(t, root, time.Minute, nil); err != nil || !strings.Contains(out, "started cpsagent init --root "+root) {
					t.Fatalf("boot: %v\n%s", err, out)
				}
			}
			if s.hits.Load() != 0 {
				t.Errorf("it made %d requests for code that it had", s.hits.Load())
			}
		})
	}
}

// shelve puts the code where the image of a machine has it, and gives the folder.
func (s *bootServer) shelve(t *testing.T, root string) string {
	t.Helper()
	shelf := filepath.Join(root, "usr/share/conpaas/code")
	if err := os.CopyFS(shelf, os.DirFS(s.code.dir)); err != nil {
		t.Fatal(err)
	}
	return shelf
}

// What a machine finds in its image is trusted as little as what it fetches.
func TestMachineChecksTheCodeThatItHas(t *testing.T) {
	t.Parallel()
	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	evil := []byte("#!/bin/sh\necho started evil\n")
	for name, spoil := range map[string]func(version, program string) error{
		"changed program": func(_, program string) error { return os.WriteFile(program, evil, 0o755) },
		"foreign signature": func(version, program string) error {
			sum := sha256.Sum256(evil)
			manifest := fmt.Appendf(nil, "conpaas-code %s\n%x %s/cpsagent\n", filepath.Base(version), sum, arch(t))
			return errors.Join(os.WriteFile(program, evil, 0o755), os.WriteFile(filepath.Join(version, "manifest"), manifest, 0o644),
				os.WriteFile(filepath.Join(version, "manifest.sig"), ed25519.Sign(foreign, manifest), 0o644))
		},
		"no signature":  func(version, _ string) error { return os.Remove(filepath.Join(version, "manifest.sig")) },
		"no program":    func(_, program string) error { return os.Remove(program) },
		"cannot be run": func(_, program string) error { return os.Chmod(program, 0o644) },
		"another version": func(version, _ string) error {
			return os.Rename(version, filepath.Join(filepath.Dir(version), "other"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, root := newBootServer(t), t.TempDir()
			version := filepath.Join(s.shelve(t, root), s.code.Pin().Version)
			if err := spoil(version, filepath.Join(version, arch(t), "cpsagent")); err != nil {
				t.Fatal(err)
			}
			out, err := s.boot(t, root, time.Minute, nil)
			if err != nil || !strings.Contains(out, "started cpsagent") || strings.Contains(out, "evil") || s.hits.Load() != 3 {
				t.Errorf("want the code fetched by 3 requests, not %d: %v\n%s", s.hits.Load(), err, out)
			}
		})
	}
}

// An older version that is rightly signed must not be run in place of the one that the user-data names.
func TestMachineRefusesAnotherVersion(t *testing.T) {
	t.Parallel()
	s := newBootServer(t)
	out, _ := s.boot(t, t.TempDir(), 3*time.Second, func(b *api.Bootstrap) {
		b.Code.Version = "other"
	})
	if strings.Contains(out, "started") {
		t.Errorf("it ran another version:\n%s", out)
	}
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		r.URL.Path = strings.Replace(r.URL.Path, "/other/", "/"+s.code.Pin().Version+"/", 1)
		return false
	}
	out, _ = s.boot(t, t.TempDir(), 3*time.Second, func(b *api.Bootstrap) { b.Code.Version = "other" })
	if strings.Contains(out, "started") || !strings.Contains(out, "no cpsagent of version other") {
		t.Errorf("it ran another version:\n%s", out)
	}
}
