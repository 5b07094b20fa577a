package generic

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/client/api"
	"conpaas/client/archive"
)

// world is a machine with the half at work on it.
type world struct {
	t    *testing.T
	root string
	h    *host.Host
	half *Half
	n    service.Node
	c    api.GenericConfig
	errs map[api.Role]error
}

var own = netip.MustParseAddr("10.0.0.1")

func newWorld(t *testing.T) *world {
	w := &world{t: t, root: hosttest.Root(t), n: service.Node{ID: "n1", Service: "jobs", Address: own, Active: true}}
	w.c = api.GenericConfig{
		Versions: []api.CodeBlob{{ID: api.CodeDefault}}, Version: api.CodeDefault,
		Members: []api.GenericMember{{ID: "n1", IP: own, Role: api.RoleMaster}},
	}
	w.open()
	return w
}

// open begins another agent on the machine.
func (w *world) open() {
	if w.half != nil {
		w.half.Close()
	}
	w.h, w.half = hosttest.Open(w.t, w.root), New()
	half, h := w.half, w.h
	half.account = func(context.Context, *host.Host) (host.User, error) { return host.User{UID: 12345, GID: 12345}, nil }
	w.t.Cleanup(func() {
		if half != w.half {
			return
		}
		if err := half.Stop(context.Background(), h); err != nil {
			w.t.Error(err)
		}
		half.Close()
	})
}

// version makes a version of these scripts, by their names without .sh, and of other files.
func (w *world) version(id string, scripts map[string]string) api.CodeBlob {
	w.t.Helper()
	var b bytes.Buffer
	archived := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		text := "#!/bin/sh\n" + scripts[name] + "\n"
		err := archived.WriteHeader(&tar.Header{Name: name + ".sh", Mode: 0o644, Size: int64(len(text))})
		if _, err2 := archived.Write([]byte(text)); errors.Join(err, err2) != nil {
			w.t.Fatal(err, err2)
		}
	}
	if err := archived.Close(); err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	v := api.CodeBlob{ID: id, SHA256: hex.EncodeToString(sum[:]), Format: archive.Tar}
	err := w.h.State().Mkdir(service.BlobDir, 0o700, host.User{})
	if err == nil {
		_, err = w.h.State().Write(service.BlobDir+"/"+v.SHA256, b.Bytes(), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// give has the machine use a version.
func (w *world) give(v api.CodeBlob) {
	w.t.Helper()
	w.c.Versions, w.c.Version = []api.CodeBlob{v}, v.ID
	w.settle()
}

func (w *world) roles() []api.RoleSpec {
	data, err := json.Marshal(w.c)
	if err != nil {
		w.t.Fatal(err)
	}
	return []api.RoleSpec{{Role: api.RoleMaster, Config: data}}
}

func (w *world) apply() error {
	w.errs = w.half.Apply(w.t.Context(), w.h, w.n, w.roles())
	return w.errs[api.RoleMaster]
}

// settle applies the configuration until nothing is awaited.
func (w *world) settle() {
	w.t.Helper()
	w.until("it is applied", func() bool {
		waits, _ := service.Waits(w.apply())
		return !waits
	})
}

func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: it does not come; %v, %s", what, w.errs, w.log())
		}
	}
}

func (w *world) status() (api.RoleStatus, api.GenericFacts) {
	w.t.Helper()
	all := w.half.Status(w.t.Context(), w.h, w.n, w.roles())
	var f api.GenericFacts
	if len(all) != 1 || all[0].Facts != nil && json.Unmarshal(all[0].Facts, &f) != nil {
		w.t.Fatalf("status %+v", all)
	}
	return all[0], f
}

// ended waits for the end of a script.
func (w *world) ended(name string) (s api.GenericScript) {
	w.t.Helper()
	w.until("the end of "+name, func() bool {
		_, f := w.status()
		s = f.Scripts[name]
		return !s.Running && !s.Begun.IsZero()
	})
	return s
}

// tell gives a command of the next number.
func (w *world) tell(name string, params ...string) {
	w.t.Helper()
	number := uint64(1)
	if w.c.Command != nil {
		number += w.c.Command.Number
	}
	w.c.Command = &api.Command{Number: number, Name: name, Parameters: params}
	w.settle()
}

// log gives what scripts have written, without the lines that tell of their begin.
func (w *world) log() string {
	var lines []string
	for _, log := range []string{outLog, errLog} {
		data, _ := w.h.Logs().Tail(log, 1000)
		for line := range strings.Lines(string(data)) {
			if !strings.HasPrefix(line, beginMark) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(lines, " ")
}

func (w *world) saw(want string) {
	w.t.Helper()
	if got := w.log(); got != want {
		w.t.Errorf("scripts have written %q, want %q", got, want)
	}
}

func (w *world) fifo(name string) *os.File {
	w.t.Helper()
	return fifo(w.t, w.root+"/"+name)
}
