package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"conpaas/client/api"
	"conpaas/client/director"
)

// fleet is an installation of many applications whose managers live in one process (command fleet): machines of the
// runtime process boot as always, fetch what they take for cpsmanager, and hand their directory to the fleet.
type fleet struct {
	*world
	b       *testing.B
	api     *director.Client
	token   api.Secret
	ca      []byte
	process *exec.Cmd
	roots   []string // of the machines
}

// atOnce bounds the applications that are being started.
const atOnce = 16

// startFleet gives a director with count applications, each with its manager connected and at rest.
func startFleet(b *testing.B, count int) *fleet {
	b.Helper()
	w := newWorld(b, b.TempDir(), "process", fmt.Sprintf("MAX_VMS_ALL_CLOUDS = %d", count))
	f := &fleet{world: w, b: b}
	b.Cleanup(w.close)
	f.launch()
	w.code = w.path("code")
	w.start()
	f.enter()
	starts, ctx := errgroup.WithContext(b.Context())
	starts.SetLimit(atOnce)
	for i := range count {
		starts.Go(func() error { return f.startApplication(ctx, fmt.Sprintf("app%d", i)) })
	}
	if err := starts.Wait(); err != nil {
		b.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(w.data(), "clouds/default/machines/*/root"))
	if err != nil || len(files) != count {
		b.Fatalf("%d machines, want %d: %v", len(files), count, err)
	}
	f.roots = files
	return f
}

// launch starts the process of the managers and writes the program that machines run in place of cpsmanager.
func (f *fleet) launch() {
	b := f.b
	program := f.path("fleet")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./fleet")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build fleet: %v\n%s", err, out)
	}
	pipe := f.path("machines")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		b.Fatal(err)
	}
	f.process = exec.Command(program, pipe)
	f.process.Stderr = os.Stderr
	life, err := f.process.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := f.process.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = life.Close()
		limit := time.AfterFunc(30*time.Second, func() { _ = f.process.Process.Kill() })
		defer limit.Stop()
		if err := f.process.Wait(); err != nil {
			b.Errorf("fleet: %v", err)
		}
	})
	// "cpsmanager init --root DIR"
	script := fmt.Sprintf("#!/bin/sh\necho \"$3\" >%s\nexec sleep infinity\n", pipe)
	f.write("code/cpsmanager", script)
	f.write("code/cpsagent", script)
	for _, name := range []string{"code/cpsmanager", "code/cpsagent"} {
		if err := os.Chmod(f.path(name), 0o755); err != nil {
			b.Fatal(err)
		}
	}
}

// enter logs the administrator in.
func (f *fleet) enter() {
	ca, err := os.ReadFile(filepath.Join(f.data(), "ca.pem"))
	if err != nil {
		f.b.Fatal(err)
	}
	password, err := os.ReadFile(filepath.Join(f.data(), "admin-password"))
	if err != nil {
		f.b.Fatal(err)
	}
	anyone, err := director.New(director.Config{URL: f.url(), CA: ca})
	if err != nil {
		f.b.Fatal(err)
	}
	token, err := anyone.Login(f.b.Context(), api.Login{Username: "admin", Password: api.Secret(strings.TrimSpace(string(password)))})
	if err != nil {
		f.b.Fatal(err)
	}
	f.ca, f.token = ca, token.Token
	if f.api, err = director.New(director.Config{URL: f.url(), CA: ca, Token: token.Token}); err != nil {
		f.b.Fatal(err)
	}
}

// startApplication makes an application and waits until its manager is connected and knows its spec.
func (f *fleet) startApplication(ctx context.Context, name string) error {
	if _, err := f.api.CreateApplication(ctx, api.ApplicationCreate{Name: name}); err != nil {
		return err
	}
	op, err := f.api.StartApplication(ctx, name)
	if err != nil {
		return err
	}
	for now, err := range f.api.WatchOperation(ctx, op.ID) {
		switch {
		case err != nil:
			return fmt.Errorf("start %s: %w", name, err)
		case now.State == api.OperationSucceeded:
			return nil
		case now.State.Final():
			return fmt.Errorf("start %s: %s: %v", name, now.State, now.Error)
		}
	}
	return fmt.Errorf("start %s: its operation has no end", name)
}
