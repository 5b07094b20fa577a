package hosting

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// A program that has servers gets others once they answer from here, or when they have been waited for long enough.
func TestServersAreReachedFirst(t *testing.T) {
	w := newWorkshop(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := func(id api.NodeID, at net.Listener) api.Server {
		return api.Server{Node: id, Address: netip.MustParseAddrPort(at.Addr().String())}
	}
	all := []api.Server{server("n1", closed), server("n2", listener), server("n3", closed)}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	reach := func(servers []api.Server) error { return w.half.reach(t.Context(), w.p, nginx, servers) }

	if err := reach(all); err != nil {
		t.Errorf("one that has none gets them at once: %v", err)
	}
	if err := w.p.NoteLoaded(nginx, Loaded{Servers: []api.NodeID{"n1"}}); err != nil {
		t.Fatal(err)
	}
	if err := reach(all[:2]); err != nil {
		t.Errorf("the new one answers: %v", err)
	}
	err = reach(all)
	if waits, busy := service.Waits(err); !waits || !busy || !strings.Contains(err.Error(), "n3 cannot be reached") {
		t.Errorf("n3 does not answer: %v", err)
	}
	w.half.patience = 0
	if err := reach(all); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	w.half.patience = reachTime
	if err := reach(all[:2]); err != nil {
		t.Errorf("n3 is wanted no more: %v", err)
	}
	if err := reach(all); err == nil {
		t.Error("a later wait has its own time")
	}
}
