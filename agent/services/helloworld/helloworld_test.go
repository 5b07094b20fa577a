package helloworld_test

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conpaas/agent/agenttest"
	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/agent/services/helloworld"
	"conpaas/client/api"
)

func TestMain(m *testing.M) {
	agenttest.Main()
	goleak.VerifyTestMain(m)
}

// address is 127.x.y.z of this process alone, so that tests of other packages are not in the way.
func address() netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, 40, byte(pid >> 8), byte(pid)})
}

// rig is a half on a host, as the agent's worker uses it.
type rig struct {
	t    *testing.T
	h    *host.Host
	half service.Half
	node service.Node
}

func newRig(t *testing.T, active bool) *rig {
	return &rig{t: t, h: hosttest.New(t), half: helloworld.New(), node: service.Node{ID: "n2", Service: "hello", Address: address(), Active: active}}
}

func (r *rig) roles(c api.HelloworldConfig) []api.RoleSpec {
	r.t.Helper()
	if c.Node == "" {
		c.Node = "n2"
	}
	data, err := json.Marshal(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return []api.RoleSpec{{Role: api.HelloworldNode, Config: data}}
}

func (r *rig) apply(c api.HelloworldConfig) []api.RoleSpec {
	r.t.Helper()
	roles := r.roles(c)
	if errs := r.half.Apply(r.t.Context(), r.h, r.node, roles); len(errs) > 0 {
		r.t.Fatal(errs)
	}
	return roles
}

// await looks at the role until f takes what it sees.
func (r *rig) await(roles []api.RoleSpec, what string, f func(api.RoleStatus) bool) api.RoleStatus {
	r.t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	for {
		all := r.half.Status(r.t.Context(), r.h, r.node, roles)
		if len(all) != 1 || all[0].Role != api.HelloworldNode {
			r.t.Fatalf("Status gives %+v; want the one role", all)
		}
		if f(all[0]) {
			return all[0]
		}
		select {
		case <-timer.C:
			r.t.Fatalf("this did not happen: %s; the last status: %+v", what, all[0])
		case <-r.h.Service().Changed():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !f() {
		select {
		case <-ticker.C:
		case <-timer.C:
			t.Fatalf("this did not happen: %s", what)
		}
	}
}

func ready(s api.RoleStatus) bool { return s.State == api.RoleReady }

func (r *rig) ready(c api.HelloworldConfig) (pid int) {
	r.t.Helper()
	return r.await(r.apply(c), "the role is ready", ready).PIDs[0]
}

func (r *rig) page(port uint16) string {
	r.t.Helper()
	status, body, err := agenttest.Get(r.t.Context(), netip.AddrPortFrom(r.node.Address, port))
	if err != nil || status != 200 {
		r.t.Fatalf("the page on port %d: %d, %v", port, status, err)
	}
	return body
}

func (r *rig) listen(port uint16) netip.AddrPort { return netip.AddrPortFrom(r.node.Address, port) }

func needNginx(t *testing.T, h *host.Host) {
	t.Helper()
	if _, err := h.Look("nginx"); err != nil {
		t.Fatalf("%v; install the package nginx-light to run this test", err)
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	r := newRig(t, true)
	needNginx(t, r.h)
	pid := r.ready(api.HelloworldConfig{Greeting: "Hello <world>", Listen: r.listen(8081)})
	if name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm"); err != nil || strings.TrimSpace(string(name)) != "nginx" {
		t.Errorf("process %d is %q, %v; want nginx", pid, name, err)
	}
	if body := r.page(8081); !strings.Contains(body, "Hello &lt;world&gt;") || !strings.Contains(body, "n2") {
		t.Errorf("the page is:\n%s", body)
	}
	// A worker becomes www-data after it has begun.
	eventually(t, "the workers are www-data's", func() bool {
		return slices.Equal(slices.Compact(workers(t, pid)), []int{www(t, r.h)})
	})
	before := children(t, pid)
	// The same again, and another greeting, leave nginx and its workers alone.
	r.ready(api.HelloworldConfig{Greeting: "Hello <world>", Listen: r.listen(8081)})
	if again := r.ready(api.HelloworldConfig{Greeting: "Bye", Listen: r.listen(8081)}); again != pid || !slices.Equal(children(t, pid), before) {
		t.Errorf("another greeting: process %d with workers %v; want %d with %v", again, children(t, pid), pid, before)
	}
	if body := r.page(8081); !strings.Contains(body, "Bye") {
		t.Errorf("the page is:\n%s", body)
	}
	// Another port is a reload: the same process with other workers.
	if again := r.ready(api.HelloworldConfig{Greeting: "Bye", Listen: r.listen(8082)}); again != pid || slices.Equal(children(t, pid), before) {
		t.Errorf("another port: process %d with workers %v; want %d with others than %v", again, children(t, pid), pid, before)
	}
	r.page(8082)
	eventually(t, "the old workers are gone, and the old port with them", func() bool {
		_, _, err := agenttest.Get(t.Context(), r.listen(8081))
		return err != nil
	})
}

// A new half over a host that an agent before it has used goes on with the nginx that runs; one whose agent was
// killed between the writing of a configuration and the reload makes up for it.
func TestNginxIsAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, true)
	needNginx(t, r.h)
	c := api.HelloworldConfig{Greeting: "Hello", Listen: r.listen(8083)}
	pid := r.ready(c)
	before := children(t, pid)
	if err := r.h.Close(); err != nil {
		t.Fatal(err)
	}
	r.page(8083)
	r.h, r.half = hosttest.Open(t, r.h.Root()), helloworld.New()
	if again := r.ready(c); again != pid || !slices.Equal(children(t, pid), before) {
		t.Errorf("after a restart: process %d with workers %v; want %d with %v", again, children(t, pid), pid, before)
	}
	if err := os.Remove(r.h.Run().Path("helloworld/nginx.loaded")); err != nil {
		t.Fatal(err)
	}
	r.ready(c)
	if again := r.ready(c); again != pid {
		t.Errorf("after a forgotten reload: process %d; want %d", again, pid)
	}
}

// When nginx's master is killed its workers live on and hold the port: they must be gone before the next start.
func TestNginxWorkersDoNotOutliveTheMaster(t *testing.T) {
	t.Parallel()
	r := newRig(t, true)
	needNginx(t, r.h)
	c := api.HelloworldConfig{Greeting: "Hello", Listen: r.listen(8084)}
	pid := r.ready(c)
	old := children(t, pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await(r.roles(c), "another nginx serves", func(s api.RoleStatus) bool { return ready(s) && s.PIDs[0] != pid })
	for _, worker := range old {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(worker) + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
			t.Errorf("worker %d lives on: %s", worker, stat)
		}
	}
}

func TestNginxSaysWhyItFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, true)
	needNginx(t, r.h)
	taken, err := net.Listen("tcp", r.listen(8085).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	roles := r.apply(api.HelloworldConfig{Greeting: "Hello", Listen: r.listen(8085)})
	r.await(roles, "it has failed and says why", func(s api.RoleStatus) bool {
		return s.State == api.RoleFailed && strings.Contains(s.Reason, "Address already in use")
	})
	taken.Close()
	r.await(roles, "it serves", ready)
}

// A reload that nginx refuses, since it cannot bind the new address beside the old one, becomes a restart.
func TestNginxRestartsWhereAReloadFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, true)
	needNginx(t, r.h)
	pid := r.ready(api.HelloworldConfig{Greeting: "Hello", Listen: r.listen(8086)})
	taken, err := net.Listen("tcp", r.listen(8087).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	roles := r.apply(api.HelloworldConfig{Greeting: "Hello", Listen: r.listen(8087)})
	r.await(roles, "it has failed", func(s api.RoleStatus) bool { return s.State == api.RoleFailed })
	taken.Close()
	if s := r.await(roles, "it serves", ready); s.PIDs[0] == pid {
		t.Errorf("it is still served by process %d, which could not be reloaded", pid)
	}
}

// A request that is in flight when the role is drained is answered; no new one is accepted.
func TestNginxDrains(t *testing.T) {
	t.Parallel()
	r := newRig(t, true)
	needNginx(t, r.h)
	c := api.HelloworldConfig{Greeting: "Hello", Listen: r.listen(8088)}
	r.ready(c)
	conn, err := net.Dial("tcp", r.listen(8088).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n")); err != nil {
		t.Fatal(err)
	}
	c.Drain = true
	done := make(chan struct{})
	go func() { defer close(done); r.half.Apply(context.Background(), r.h, r.node, r.roles(c)) }()
	eventually(t, "no new request is accepted", func() bool {
		_, _, err := agenttest.Get(t.Context(), r.listen(8088))
		return err != nil
	})
	if _, err := conn.Write([]byte("Connection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 15)
	if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
		t.Errorf("the request in flight is answered by %q, %v", answer, err)
	}
	conn.Close()
	<-done
	r.await(r.roles(c), "it is drained", func(s api.RoleStatus) bool { return s.State == api.RoleDrained && s.PIDs == nil })
	r.await(nil, "it is drained", func(s api.RoleStatus) bool { return s.State == api.RoleDrained })
}

func TestApplyNamesWhatIsWrong(t *testing.T) {
	r := newRig(t, true)
	errs := r.half.Apply(t.Context(), r.h, r.node, []api.RoleSpec{{Role: "backend"}, {Role: api.HelloworldNode, Config: api.RawJSON(`{}`)}})
	if errs["backend"] == nil || errs[api.HelloworldNode] == nil {
		t.Errorf("the errors are %v", errs)
	}
	r.await([]api.RoleSpec{{Role: api.HelloworldNode, Config: api.RawJSON(`{}`)}}, "it has failed", func(s api.RoleStatus) bool { return s.State == api.RoleFailed })
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
	slices.Sort(all)
	return all
}

// workers gives the users that the children of pid run as.
func workers(t *testing.T, pid int) []int {
	t.Helper()
	var owners []int
	for _, child := range children(t, pid) {
		info, err := os.Stat("/proc/" + strconv.Itoa(child))
		if err != nil {
			t.Fatal(err)
		}
		owners = append(owners, int(info.Sys().(*syscall.Stat_t).Uid))
	}
	return owners
}

func www(t *testing.T, h *host.Host) int {
	t.Helper()
	user, err := h.User("www-data")
	if err != nil {
		t.Fatal(err)
	}
	return user.UID
}
