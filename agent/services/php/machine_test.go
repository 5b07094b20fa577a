package php

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == "machine" {
		if err := beMachine(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A machine is a half and its host in a process with mounts of its own, so that each machine has its own files
// under the same path, as real ones do.
type machine struct {
	t     *testing.T
	id    api.NodeID
	addr  netip.Addr
	dir   string // where its root lies
	roles []api.RoleSpec
	calls *json.Encoder
	back  *json.Decoder
}

type call struct {
	Apply bool           `json:"apply"`
	Fresh bool           `json:"fresh"` // as after a restart of the agent
	Roles []api.RoleSpec `json:"roles"`
}

type answer struct {
	Errors map[api.Role]string `json:"errors"`
	Status []api.RoleStatus    `json:"status"`
}

// beMachine is the body of the process.
func beMachine(dir, root, id, address string) error {
	if err := unix.Mount(dir, root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", dir, root, err)
	}
	n := service.Node{ID: api.NodeID(id), Service: "shop", Address: netip.MustParseAddr(address)}
	open := func() (*host.Host, error) {
		return host.Open(host.Options{Root: root, Log: slog.New(slog.DiscardHandler), Self: "/bin/true"})
	}
	h, err := open()
	if err != nil {
		return err
	}
	half := New()
	half.Keep = 0
	calls, back := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c call
		if err := calls.Decode(&c); err != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			half.Close()
			half.Stop(ctx, h)
			return h.Service().Keep(context.Background())
		}
		a := answer{Errors: map[api.Role]string{}}
		if c.Fresh {
			if err := h.Close(); err != nil {
				return err
			}
			if h, err = open(); err != nil {
				return err
			}
			half.Close()
			half = New()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		for again := c.Apply; again && ctx.Err() == nil; {
			again = false
			clear(a.Errors)
			for role, err := range half.Apply(ctx, h, n, c.Roles) {
				_, busy := service.Waits(err)
				again = again || busy // as an agent calls it again
				a.Errors[role] = err.Error()
			}
		}
		a.Status = half.Status(ctx, h, n, c.Roles)
		cancel()
		if err := back.Encode(a); err != nil {
			return err
		}
	}
}

var networks atomic.Uint32

// lab is a set of machines that see each other on addresses of this process alone.
type lab struct {
	t       *testing.T
	root    string
	dir     string
	network byte
	count   byte
}

func newLab(t *testing.T) *lab {
	t.Helper()
	t.Parallel()
	dir := hosttest.Root(t)
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return &lab{t: t, root: root, dir: dir, network: byte(networks.Add(1))}
}

func (l *lab) machine() *machine {
	l.t.Helper()
	l.count++
	id := fmt.Sprintf("n%d", l.count)
	pid := os.Getpid()
	m := &machine{
		t: l.t, id: api.NodeID(id), dir: filepath.Join(l.dir, id),
		addr: netip.AddrFrom4([4]byte{127, 64 + l.network, byte(pid), l.count}),
	}
	if err := os.MkdirAll(filepath.Join(m.dir, "var/lib/conpaas", service.BlobDir), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "node"), []byte(id), 0o644); err != nil {
		l.t.Fatal(err)
	}
	c := exec.Command("/proc/self/exe", "machine", m.dir, l.root, id, m.addr.String())
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	m.calls, m.back = json.NewEncoder(in), json.NewDecoder(out)
	l.t.Cleanup(func() {
		if l.t.Failed() {
			for _, name := range []string{haproxy.Name, "nginx", fpm, "redis"} {
				text, _ := os.ReadFile(filepath.Join(m.dir, "var/log/conpaas", name+".log"))
				l.t.Logf("%s: log of %s:\n%s", id, name, text[max(0, len(text)-3000):])
			}
		}
		in.Close()
		if err := c.Wait(); err != nil {
			l.t.Errorf("machine %s: %v", id, err)
		}
	})
	return m
}

func (m *machine) at(port uint16) netip.AddrPort { return netip.AddrPortFrom(m.addr, port) }

func (m *machine) server(port uint16) api.Server { return api.Server{Node: m.id, Address: m.at(port)} }

// store puts a blob where the agent would.
func (m *machine) store(digest string, data []byte) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, "var/lib/conpaas", service.BlobDir, digest), data, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) call(c call) answer {
	m.t.Helper()
	c.Roles = m.roles
	var a answer
	if err := m.calls.Encode(c); err != nil {
		m.t.Fatal(err)
	}
	if err := m.back.Decode(&a); err != nil {
		m.t.Fatalf("machine %s: %v", m.id, err)
	}
	return a
}

// role gives a RoleSpec.
func role(t *testing.T, r api.Role, config any) api.RoleSpec {
	t.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return api.RoleSpec{Role: r, Config: data}
}

// apply gives the machine roles that it must take without an error.
func (m *machine) apply(roles ...api.RoleSpec) {
	m.t.Helper()
	m.roles = roles
	if a := m.call(call{Apply: true}); len(a.Errors) > 0 {
		m.t.Fatalf("machine %s: %v", m.id, a.Errors)
	}
}

// await looks at a role until f takes what it sees.
func (m *machine) await(r api.Role, what string, f func(api.RoleStatus, api.HostingFacts) bool) (api.RoleStatus, api.HostingFacts) {
	m.t.Helper()
	timer := time.NewTimer(45 * time.Second)
	defer timer.Stop()
	for {
		all := m.call(call{}).Status
		i := slices.IndexFunc(all, func(s api.RoleStatus) bool { return s.Role == r })
		if i < 0 || len(all) != 3 {
			m.t.Fatalf("machine %s: Status gives %+v", m.id, all)
		}
		var facts api.HostingFacts
		if err := json.Unmarshal(all[i].Facts, &facts); err != nil {
			m.t.Fatal(err)
		}
		if f(all[i], facts) {
			return all[i], facts
		}
		select {
		case <-timer.C:
			m.t.Fatalf("machine %s: this did not happen: %s; the last status: %+v %s", m.id, what, all[i], all[i].Facts)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ready(s api.RoleStatus, _ api.HostingFacts) bool { return s.State == api.RoleReady }

func drained(s api.RoleStatus, _ api.HostingFacts) bool { return s.State == api.RoleDrained }

// awaitReady waits until all roles that the machine has are ready.
func (m *machine) awaitReady() {
	m.t.Helper()
	for _, r := range m.roles {
		m.await(r.Role, "it is ready", ready)
	}
}

// pid gives the first process of a role.
func (m *machine) pid(r api.Role) int {
	m.t.Helper()
	s, _ := m.await(r, "it is ready", ready)
	return s.PIDs[0]
}

// children gives the processes that have pid as their parent.
func children(t *testing.T, pid int) []int {
	t.Helper()
	id := strconv.Itoa(pid)
	text, err := os.ReadFile("/proc/" + id + "/task/" + id + "/children")
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, f := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		t.Fatalf("process %d has no children", pid)
	}
	return all
}
