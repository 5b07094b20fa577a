package agenttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"conpaas/client/api"
)

// patience is how long the helpers wait for what must happen.
const patience = time.Minute

// AwaitStatus waits until an agent is connected and says something of its node that f takes, and gives it.
func (p *Parent) AwaitStatus(t testing.TB, node api.NodeID, what string, f func(api.NodeStatus) bool) api.NodeStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last api.NodeStatus
	for ctx.Err() == nil {
		p.AwaitConnected(t, node)
		for report, err := range p.Client(node).Stream(ctx, p.Epoch()) {
			if err != nil {
				break // a connection that broke comes back
			}
			if report.Status == nil {
				continue
			}
			if last = *report.Status; f(last) {
				return last
			}
		}
	}
	text, err := json.MarshalIndent(last, "", "  ")
	t.Fatalf("node %s: this did not happen within %s: %s; the last status (%v):\n%s", node, patience, what, err, text)
	return last
}

// AwaitReady waits until an agent has applied the revision and all its roles are ready.
func (p *Parent) AwaitReady(t testing.TB, node api.NodeID, revision uint64) api.NodeStatus {
	t.Helper()
	return p.AwaitStatus(t, node, fmt.Sprintf("revision %d is applied and ready", revision), func(s api.NodeStatus) bool {
		for _, r := range s.Roles {
			if r.State != api.RoleReady {
				return false
			}
		}
		return s.Applied == revision && s.Error == "" && len(s.Roles) > 0
	})
}

// AwaitConnected waits until an agent is connected to the present manager.
func (p *Parent) AwaitConnected(t testing.TB, node api.NodeID) {
	t.Helper()
	p.awaitConnection(t, node, true)
}

// AwaitDisconnected waits until an agent is no longer connected.
func (p *Parent) AwaitDisconnected(t testing.TB, node api.NodeID) {
	t.Helper()
	p.awaitConnection(t, node, false)
}

func (p *Parent) awaitConnection(t testing.TB, node api.NodeID, want bool) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		p.mu.Lock()
		connected, changed := p.manager != nil && p.hub.Connected(string(node)), p.changed
		p.mu.Unlock()
		if connected == want {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("agent %s: connected is not %t within %s", node, want, patience)
		}
	}
}

// Get fetches a page over a connection of its own.
func Get(ctx context.Context, at netip.AddrPort) (status int, body string, err error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+"/", nil)
	if err != nil {
		return 0, "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, string(data), err
}

// AwaitLookup waits until agents have asked the director so many times for their parent.
func (p *Parent) AwaitLookup(t testing.TB, count int) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for p.Lookups() < count {
		select {
		case <-ticker.C:
		case <-timer.C:
			t.Fatalf("agents have asked the director %d times for their parent within %s; want %d", p.Lookups(), patience, count)
		}
	}
}
