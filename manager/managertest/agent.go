package managertest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// Agent is an agent that a test controls. It obeys at once and reports that all is well, unless the test says
// otherwise.
type Agent struct {
	Info  api.NodeInfo
	Store *mtls.Store

	d       *Director
	bootID  string
	stop    func()
	guard   *wire.Guard
	handler http.Handler

	mu      sync.Mutex
	changed chan struct{}
	seen    Seen
	spec    *api.NodeSpec // with all peers
	broken  bool
	hold    chan struct{} // specs are answered once it is closed; nil: at once
	mute    bool          // nothing is reported any more, not even a sign of life
	event   *api.Event    // to be reported
	lie     func(api.AgentReport) []api.AgentReport
	blobs   map[string][]byte
	older   bool
	act     func(http.ResponseWriter, *http.Request) error // does actions; nil: it has none
	cut     int                                            // bytes after which the receiving of the next blob breaks off; 0: it does not
}

// Seen is what an agent was told.
type Seen struct {
	Specs    []api.NodeSpec
	Deltas   []api.PeerDelta
	Refused  int // calls of a lower epoch
	Sessions int
	Errors   []error // why connections were not made, or ended
}

// NewAgent makes an agent of an application, which is not connected yet. A NodeInfo of it goes into specs.
func (d *Director) NewAgent(node api.NodeID, application api.ApplicationID, service api.ServiceID, index int) *Agent {
	d.t.Helper()
	id := certs.Identity{Deployment: Deployment, Role: certs.RoleAgent, User: "1", Application: application.String(), Node: string(node)}
	return d.newAgent(node, service, index, d.Store(id, time.Hour))
}

func (d *Director) newAgent(node api.NodeID, service api.ServiceID, index int, store *mtls.Store) *Agent {
	d.t.Helper()
	var key [32]byte
	rand.Read(key[:])
	guard, err := wire.OpenGuard(d.t.TempDir() + "/epoch")
	if err != nil {
		d.t.Fatal(err)
	}
	a := &Agent{
		d: d, Store: store, bootID: rand.Text(), guard: guard, changed: make(chan struct{}),
		Info: api.NodeInfo{
			ID: node, Service: service, Role: api.HelloworldNode, State: api.NodeJoined, Key: api.OverlayKey(base64.StdEncoding.EncodeToString(key[:])),
			Overlay: netip.AddrFrom4([4]byte{10, 64, byte(index >> 8), byte(index)}), Endpoint: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(index >> 8), byte(index)}), 51820),
		},
	}
	a.handler = a.routes()
	return a
}

// Connect has the agent connect to a manager and again when it loses it, until Disconnect or the end of the test.
func (a *Agent) Connect(m *Manager) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			err := a.Dial(ctx, m)
			a.edit(func() { a.seen.Errors = append(a.seen.Errors, err) })
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	a.stop = sync.OnceFunc(func() { cancel(); <-ended })
	a.d.t.Cleanup(a.stop)
}

// Disconnect ends the agent's connection and its tries to make one.
func (a *Agent) Disconnect() { a.stop() }

// Dial makes one connection to a manager and serves it until it ends.
func (a *Agent) Dial(ctx context.Context, m *Manager) error {
	name := certs.NodeDNSName(Deployment, m.Application.String(), string(m.Node))
	return wire.Connect(ctx, wire.Connection{
		Client: mtls.ClientConfig(a.Store, nil, name), Address: m.Listen.String(), ServerName: name, Path: "/v1/connect",
		Hello: api.Hello{Node: a.Info.ID, BootID: a.bootID, Version: "test"}, Handler: a.handler, Log: a.d.log,
		OnUp: func() { a.edit(func() { a.seen.Sessions++ }) },
	})
}

// Reboot gives the agent another boot id, as a new machine or a copy of one has.
func (a *Agent) Reboot() { a.bootID = rand.Text() }

// Look gives what the agent was told so far, and the spec that it has, nil for none.
func (a *Agent) Look() (Seen, *api.NodeSpec) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.seen
	s.Specs, s.Deltas, s.Errors = slices.Clone(s.Specs), slices.Clone(s.Deltas), slices.Clone(s.Errors)
	return s, a.spec
}

// Break makes the agent's roles fail, or work again.
func (a *Agent) Break(broken bool) { a.edit(func() { a.broken = broken }) }

// Hold makes the agent answer no spec until the function that it gives is called.
func (a *Agent) Hold() (release func()) {
	hold := make(chan struct{})
	a.edit(func() { a.hold = hold })
	return sync.OnceFunc(func() {
		a.edit(func() { a.hold = nil })
		close(hold)
	})
}

// Mute makes the agent report nothing any more, though its connection is alive, or report again.
func (a *Agent) Mute(mute bool) { a.edit(func() { a.mute = mute }) }

// Tell makes the agent report an event.
func (a *Agent) Tell(e api.Event) { a.edit(func() { a.event = &e }) }

// Lie sets what the agent says in place of each true report with a status; nil: the truth.
func (a *Agent) Lie(f func(api.AgentReport) []api.AgentReport) { a.edit(func() { a.lie = f }) }

// Older makes the agent speak an older protocol than its manager, or the same again.
func (a *Agent) Older(older bool) { a.edit(func() { a.older = older }) }

// Act sets what the agent does as an action, whichever it is.
func (a *Agent) Act(f func(http.ResponseWriter, *http.Request) error) { a.edit(func() { a.act = f }) }

func (a *Agent) isOlder() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.older
}

// edit changes the agent and tells its streams and the test.
func (a *Agent) edit(f func()) {
	a.mu.Lock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
	a.d.change()
}

func (a *Agent) routes() http.Handler {
	manager := wire.Rule{Name: "manager", Allow: func(context.Context, wire.Caller, func(string) string) error { return nil }}
	w := wire.NewAPI(wire.Options{
		Title: "agent", Version: "test", Log: a.d.log,
		Authenticate: func(*http.Request) (wire.Caller, error) { return wire.Caller{Kind: wire.KindManager}, nil },
	})
	w.Raw(wire.Route{Method: http.MethodPut, Path: "/v1/spec", ID: "put-spec", MaxBody: 8 << 20, Body: api.NodeSpec{}}, manager, a.putSpec)
	w.Raw(wire.Route{Method: http.MethodPatch, Path: "/v1/peers", ID: "patch-peers", Body: api.PeerDelta{}}, manager, a.patchPeers)
	w.Raw(wire.Route{Method: http.MethodPut, Path: "/v1/names", ID: "put-names", Body: api.Names{}}, manager, a.putNames)
	w.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/stream", ID: "stream"}, manager, a.stream)
	w.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/exec", ID: "exec", Body: api.ExecRequest{}}, manager, a.exec)
	w.Raw(wire.Route{Method: http.MethodGet, Path: "/v1/logs/{name}", ID: "log", Query: []wire.Query{wire.QueryNumber("lines", 0, 1000, ""), wire.QueryFlag("follow", "")}}, manager, a.log)
	w.Raw(wire.Route{Method: http.MethodPost, Path: "/v1/actions/{action}", ID: "act", MaxBody: api.MaxActionInput, Body: wire.Bytes{}, Idle: api.ActionIdle, Told: true, Query: []wire.Query{wire.QueryOthers("params", "")}}, manager,
		func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
			a.mu.Lock()
			act := a.act
			a.mu.Unlock()
			if act == nil {
				return api.Errorf(api.CodeNotFound, "no action %s", path("action"))
			}
			return act(w, r)
		})
	w.Blobs(manager, a)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if a.isOlder() {
			r.Header.Set(api.HeaderProtocol, strconv.Itoa(api.Protocol+1))
		}
		if _, err := a.guard.Check(r); err != nil {
			a.edit(func() { a.seen.Refused++ })
		}
		a.guard.Middleware(w.Handler()).ServeHTTP(rw, r)
	})
}

func (a *Agent) putSpec(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var s api.NodeSpec
	if err := wire.Decode(r, &s); err != nil {
		return err
	}
	a.mu.Lock()
	hold := a.hold
	a.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
	a.edit(func() { a.seen.Specs, a.spec = append(a.seen.Specs, s), &s })
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Agent) putNames(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var n api.Names
	if err := wire.Decode(r, &n); err != nil {
		return err
	}
	a.edit(func() {
		if a.spec != nil {
			next := *a.spec
			next.Names = n.Names
			a.spec = &next
		}
	})
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *Agent) patchPeers(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var d api.PeerDelta
	if err := wire.Decode(r, &d); err != nil {
		return err
	}
	ok := false
	a.edit(func() {
		if ok = a.spec != nil && a.spec.Overlay.Version == d.From; !ok {
			return
		}
		a.seen.Deltas = append(a.seen.Deltas, d)
		peers := map[api.NodeID]api.Peer{}
		for _, p := range a.spec.Overlay.Peers {
			peers[p.Node] = p
		}
		for _, p := range d.Set {
			peers[p.Node] = p
		}
		for _, id := range d.Remove {
			delete(peers, id)
		}
		next := *a.spec
		next.Overlay.Version, next.Overlay.Peers = d.To, slices.Collect(maps.Values(peers))
		a.spec = &next
	})
	if !ok {
		return api.Errorf(api.CodeConflict, "not version %d", d.From)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Forget makes the agent lose the version of its peers.
func (a *Agent) Forget() {
	a.edit(func() {
		next := *a.spec
		next.Overlay.Version++
		a.spec = &next
	})
}

func (a *Agent) stream(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	out := wire.NewLineWriter(w)
	for {
		a.mu.Lock()
		status, event, mute, lie, changed := a.status(), a.event, a.mute, a.lie, a.changed
		a.event = nil
		a.mu.Unlock()
		reports := []api.AgentReport{{Status: &status, Event: event}}
		if lie != nil {
			reports = lie(reports[0])
		}
		for _, r := range reports {
			if mute {
				break
			}
			if err := out.Write(r); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// status is called with the lock held.
func (a *Agent) status() api.NodeStatus {
	s := api.NodeStatus{Node: a.Info.ID, BootID: a.bootID, Version: "test", DataPlane: "none"}
	if a.spec == nil {
		return s
	}
	if s.Lacks = a.lacks(); len(s.Lacks) > 0 {
		s.Error = "blobs have not come yet"
		return s
	}
	s.Applied = a.spec.Revision
	s.Fingerprint, _ = a.spec.Fingerprint()
	s.Names = api.SumNames(a.spec.Names)
	for _, r := range a.spec.Roles {
		status := api.RoleStatus{Role: r.Role, State: api.RoleReady}
		var config api.HelloworldConfig
		if err := json.Unmarshal(r.Config, &config); err == nil && config.Drain {
			status.State = api.RoleDrained
		}
		if a.broken {
			status.State, status.Reason = api.RoleFailed, "it was broken by the test"
		}
		s.Roles = append(s.Roles, status)
	}
	return s
}

func (a *Agent) exec(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
	var in api.ExecRequest
	if err := wire.Decode(r, &in); err != nil {
		return err
	}
	if len(in.Command) == 0 {
		return api.InField("command", "want a program")
	}
	out := wire.NewLineWriter(w)
	zero := 0
	for _, frame := range []api.ExecFrame{{Stdout: []byte(in.Command[0] + " on " + string(a.Info.ID))}, {Exit: &zero}} {
		if err := out.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) log(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	_, err := w.Write([]byte("log " + path("name") + " of " + string(a.Info.ID) + ", lines " + r.URL.Query().Get("lines") + "\n"))
	return err
}
