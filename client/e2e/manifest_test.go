package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/client/command"
	"conpaas/client/director"
	"conpaas/client/login"
	"conpaas/client/wire"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/directortest"
)

// everything is a manifest with all that one can say, for an application of a name.
const everything = `
Application: %s
Services:
- ServiceName: front
  Type: php
  Archive: code.tar
  StartupScript: start.sh
  StartupInstances: {proxy: 1, web: 1, backend: 2}
  Settings: {memory_limit: 64M}
  Environment: {MODE: live}
  Secrets: {KEY: '***'}
  Links: [db]
- ServiceName: db
  Type: mysql
  StartupInstances: {mysql: 1}
  Password: correct-horse
  Dump: shop.sql
- ServiceName: later
  Type: helloworld
  Start: 0
  Settings: {greeting: Soon}
Volumes:
- {Name: files, Size: 64, Service: front, Role: backend}
- {Name: waits, Size: 64, Service: later}
- {Name: spare, Size: 64}
`

// broken is the network between a cps and the director: it takes a number of changing requests, cuts the last one, before it reaches
// the director or before its answer comes back, and kills the cps.
type broken struct {
	next  http.Handler
	after bool

	mu      sync.Mutex
	left    int // changing requests until the cut; negative: there is none
	seen    []string
	cut     bool
	killCPS context.CancelFunc

	watched chan string // gets the path of each operation that is waited for; nil: nobody asks
}

// ServeHTTP passes a request on, or cuts it.
func (b *broken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	now := false
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !b.cut {
		b.seen = append(b.seen, r.Method+" "+r.URL.Path)
		b.left--
		now = b.left == 0
		b.cut = now
	}
	dead := b.cut && !now
	b.mu.Unlock()
	if b.watched != nil && strings.HasSuffix(r.URL.Path, "/watch") {
		b.watched <- r.URL.Path
	}
	switch {
	case now && b.after:
		b.next.ServeHTTP(httptest.NewRecorder(), r)
		fallthrough
	case now:
		b.killCPS()
		panic(http.ErrAbortHandler)
	case dead:
		panic(http.ErrAbortHandler)
	}
	b.next.ServeHTTP(w, r)
}

// installation is a director in this process with a folder of files that manifests name.
type installation struct {
	*directortest.Director
	token api.Secret
	files string
	loads sync.Map // path of each dump that managers were given
}

func newInstallation(t *testing.T) *installation {
	in := &installation{Director: directortest.Start(t, directortest.Options{}), files: t.TempDir()}
	actions := wire.NewAPI(wire.Options{
		Title: "manager", Version: "test", Log: slog.New(slog.DiscardHandler),
		Authenticate: func(*http.Request) (wire.Caller, error) { return wire.Caller{Kind: wire.KindDirector}, nil },
	})
	all := wire.Rule{Name: "director", Allow: func(context.Context, wire.Caller, func(string) string) error { return nil }}
	actions.Raw(wire.Route{
		Method: "POST", Path: "/v1/services/{service}/actions/{action}", ID: "act", MaxBody: 1 << 20, Body: wire.Bytes{}, Told: true,
		Query: []wire.Query{wire.QueryOthers("params", "")},
	}, all, func(_ http.ResponseWriter, r *http.Request, _ func(string) string) error {
		dump, err := io.ReadAll(r.Body)
		if err == nil {
			in.loads.Store(string(dump)+" "+r.URL.RawQuery, true)
		}
		return err
	})
	in.Cloud.Answer(actions.Handler().ServeHTTP)
	password, err := os.ReadFile(filepath.Join(in.Dir, "admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	entered, err := in.Login(t.Context(), api.Login{Username: "admin", Password: api.Secret(strings.TrimSpace(string(password)))}, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	in.token = entered.Token
	var code bytes.Buffer
	archive := tar.NewWriter(&code)
	const page = "<?php echo 'shop';"
	if err := archive.WriteHeader(&tar.Header{Name: "index.php", Mode: 0o644, Size: int64(len(page))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(archive, page); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	in.file(t, "code.tar", code.String())
	in.file(t, "start.sh", "#!/bin/sh\ntrue\n")
	in.file(t, "shop.sql", "CREATE DATABASE shop;")
	return in
}

func (in *installation) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(in.files, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// through gives who runs cps with the director behind b.
func (in *installation) through(t *testing.T, b *broken) func(ctx context.Context, args ...string) (string, int) {
	t.Helper()
	target, err := url.Parse(in.URL)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := certs.Pool(in.CA())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	proxy.Transport, proxy.FlushInterval = transport, -1
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Del(api.HeaderCA) // the certificate is the proxy's own
		return nil
	}
	b.next = proxy
	server := httptest.NewUnstartedServer(b)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	authority, err := director.ParseAuthority(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	home := t.TempDir()
	if err == nil {
		err = (login.Home{Dir: home}).Save(login.Login{Settings: login.Settings{Director: server.URL, Username: "admin"}, Authority: authority, Token: in.token})
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, args ...string) (string, int) {
		var out, errs bytes.Buffer
		status := command.Run(ctx, command.System{
			Args: append([]string{"cps"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
			Getenv: func(name string) string { return map[string]string{"CONPAAS_HOME": home}[name] },
		})
		if status != 0 {
			return errs.String(), status
		}
		return out.String(), 0
	}
}

// state is all that an apply is to bring about, but for the application's name and what is made anew each time.
func (in *installation) state(t *testing.T, cps func(context.Context, ...string) (string, int), name string) string {
	t.Helper()
	export, status := cps(t.Context(), "application", "export", name)
	if status != 0 {
		t.Fatal(export)
	}
	lines := []string{strings.ReplaceAll(export, name, "NAME")}
	services, err := in.Services(t.Context(), in.Admin(), name, app.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services.Items {
		lines = append(lines, fmt.Sprint(s.Name, s.State, s.Nodes, s.Ready, s.Machines))
	}
	versions, err := in.CodeVersions(t.Context(), in.Admin(), name, "front", app.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions.Items {
		lines = append(lines, fmt.Sprint(v.Filename, v.SHA256, v.Enabled))
	}
	volumes, err := in.Volumes(t.Context(), in.Admin(), name, app.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var disks []string
	for _, v := range volumes.Items {
		if !v.Automatic {
			disks = append(disks, fmt.Sprint(v.Name, v.SizeMiB, v.State, v.Service, v.Role))
		}
	}
	slices.Sort(disks)
	lines = append(lines, disks...)
	operations, err := in.Operations(t.Context(), in.Admin(), name, app.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range operations.Items {
		if !op.State.Final() {
			lines = append(lines, fmt.Sprint(op.Kind, op.State))
		}
	}
	return strings.Join(lines, "\n")
}

// TestManifestBrokenOff: whichever request of an apply is the last, done or not, the same command again goes on from there and ends in
// the state that an undisturbed one ends in, and has waited for it. Only requests that change something are cut: between
// two of them nothing is lost.
func TestManifestBrokenOff(t *testing.T) {
	in := newInstallation(t)
	undisturbed := &broken{left: -1}
	cps := in.through(t, undisturbed)
	if said, status := cps(t.Context(), "application", "apply", in.file(t, "whole.yaml", fmt.Sprintf(everything, "whole"))); status != 0 {
		t.Fatal(said)
	}
	want := in.state(t, cps, "whole")
	if !strings.Contains(want, "files64attached") && !strings.Contains(want, "files 64 attached") {
		t.Fatalf("the application is\n%s", want)
	}
	if len(undisturbed.seen) < 14 {
		t.Fatalf("an apply is no more than %q", undisturbed.seen)
	}
	for i, request := range undisturbed.seen {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s done=%t", i, request, after), func(t *testing.T) {
				t.Parallel()
				name := fmt.Sprintf("cut-%d-%t", i, after)
				file := in.file(t, name+".yaml", fmt.Sprintf(everything, name))
				ctx, kill := context.WithCancel(t.Context())
				defer kill()
				b := &broken{left: i + 1, after: after, killCPS: kill}
				if said, status := in.through(t, b)(ctx, "application", "apply", file); status == 0 || !b.cut {
					t.Fatalf("it was not cut: %s", said)
				}
				cps := in.through(t, &broken{left: -1})
				if said, status := cps(t.Context(), "application", "apply", file); status != 0 {
					t.Fatalf("after the cut at %s: %s", b.seen[i], said)
				}
				if got := in.state(t, cps, name); got != want {
					t.Errorf("after the cut at %s it is\n%s\nwant\n%s", b.seen[i], got, want)
				}
				if _, err := in.DeleteApplication(t.Context(), in.Admin(), name); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestManifestWaits: an apply waits for what one before it has begun, before it says that the application is as the manifest says.
func TestManifestWaits(t *testing.T) {
	in := newInstallation(t)
	var held atomic.Bool
	held.Store(true)
	in.Cloud.Refuse(func(launch int) error {
		if launch > 2 && held.Load() { // the manager and the first machine are there
			return in.Cloud.Error(cloud.KindTransient, "later")
		}
		return nil
	})
	file := in.file(t, "two.yaml", "Application: two\nServices:\n- {Type: helloworld, ServiceName: hello, StartupInstances: {node: 2}}\n")
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	first := &broken{left: 4, after: true, killCPS: kill}
	if said, status := in.through(t, first)(ctx, "application", "apply", file); status == 0 || !strings.HasSuffix(first.seen[3], "/add-nodes") {
		t.Fatalf("it was cut after %q: %s", first.seen, said)
	}
	second := &broken{left: -1, watched: make(chan string, 100)}
	cps := in.through(t, second)
	ended := make(chan string, 1)
	go func() {
		said, status := cps(t.Context(), "application", "apply", file)
		ended <- fmt.Sprint(status, " ", said)
	}()
	select {
	case <-second.watched:
	case said := <-ended:
		t.Fatalf("it has not waited for the machine: %s", said)
	}
	held.Store(false)
	if said := <-ended; !strings.HasPrefix(said, "0 ") {
		t.Error(said)
	}
	if s, err := in.Service(t.Context(), in.Admin(), "two", "hello"); err != nil || s.Ready != 2 || len(second.seen) > 0 {
		t.Errorf("%d machines serve, %v; it has sent %q", s.Ready, err, second.seen)
	}
}
