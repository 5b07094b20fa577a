package command_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"conpaas/certs/ca"
	"conpaas/client/api"
)

const (
	fakeUser     = "alice"
	fakePassword = "correct horse"
	tokenOf      = "token-of-"
	hostile      = "evil\x1b[2J\u202e\nname"
)

var begun = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fake is a director with made-up data. It is strict: a request that the contract does not have is a mistake
// of the client, and the script that caused it fails.
type fake struct {
	server   *httptest.Server
	plain    *http.Server
	mu       sync.Mutex
	mode     map[string]bool
	mistakes []string
	watches  int
	follows  int           // of logs
	watched  chan struct{} // gets a value when a watch begins and nothing more will come on it
	users    []api.User
	apps     []api.Application
	services []api.Service
	nodes    []api.Node
	ops      []api.Operation
	codes    []api.CodeVersion // of the php service, which is there in mode php
	archive  []byte            // that was uploaded last
	next     *x509.Certificate // CA certificate of a rotation
	clients  *ca.Authority     // signs the certificates of users
	part     []byte            // of an upload that has broken off

	environment api.Environment // of any service
	script      api.Script      // of any service; zero: none
}

func newFake() *fake {
	f := &fake{mode: map[string]bool{}, watched: make(chan struct{}, 8), next: newAuthority().Certificate(), clients: newAuthority(), users: newUsers()}
	f.apps = []api.Application{
		{ID: 1, Name: "shop", Owner: fakeUser, Cloud: "default", State: api.StateRunning, Since: begun, Created: begun, Revision: 4, Manager: "n1", Services: 1, Network: "172.16.0.0/12"},
		{ID: 2, Name: "日本", Owner: fakeUser, Cloud: "default", State: api.StateInit, Since: begun, Created: begun, Revision: 1, Network: "172.16.0.0/12"},
	}
	f.services = []api.Service{{
		ID: 1, Application: 1, Type: api.Helloworld, Name: "front", Cloud: "default", State: api.StateRunning, Since: begun, Created: begun,
		Nodes: map[api.Role]int{"node": 1}, Ready: 1, Machines: 1, Settings: map[string]string{"greeting": "Hello, world"},
		Endpoints: []api.Endpoint{{Name: "http", Node: "n2", Port: 80}},
	}}
	f.nodes = []api.Node{
		{ID: "n1", Application: 1, Role: api.ManagerRole, State: api.NodeReady, Since: begun, Created: begun, Cloud: "default", Machine: "m-1", Address: "10.210.0.2", Runtime: "container", Attempt: 1, Version: "dev"},
		{ID: "n2", Application: 1, Service: 1, Role: "node", State: api.NodeReady, Since: begun, Created: begun, Cloud: "default", Machine: "m-2", Address: "10.210.0.3", Runtime: "container", Attempt: 1, Version: "dev"},
	}
	f.ops = []api.Operation{f.operation(api.OpApplicationStart, 1, 0)}
	f.server = httptest.NewUnstartedServer(f.routes())
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	secure, plain := split(f.server.Listener)
	f.server.Listener = secure
	f.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	f.server.StartTLS()
	f.plain = &http.Server{Handler: http.HandlerFunc(f.authority), ReadHeaderTimeout: time.Minute}
	go func() { _ = f.plain.Serve(plain) }()
	return f
}

func (f *fake) close() {
	f.server.CloseClientConnections()
	f.server.Close()
	_ = f.plain.Close()
}

func (f *fake) caPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
}

// authority is what the port answers to plain HTTP.
func (f *fake) authority(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method != http.MethodGet || r.URL.Path != "/ca.pem" {
		f.mistake(r, "in clear")
		http.Error(w, "https only", http.StatusBadRequest)
		return
	}
	_, _ = w.Write(f.caPEM())
}

func (f *fake) operation(kind api.OperationKind, app api.ApplicationID, service api.ServiceID) api.Operation {
	return api.Operation{
		ID: api.OperationID("op" + strconv.Itoa(len(f.ops)+1)), Kind: kind, Owner: fakeUser, Application: app, Service: service,
		State: api.OperationRunning, Revision: 4, Created: begun, Progress: "1 machine: 1 booting",
		Steps: []api.Step{{Time: begun.Add(time.Second), Text: "machine asked of cloud default"}},
	}
}

// finished is how an operation ends in the mode that the script has set.
func (f *fake) finished(op api.Operation) api.Operation {
	end := begun.Add(12 * time.Second)
	op.Ended, op.State, op.Progress = &end, api.OperationSucceeded, "1 machine: 1 ready"
	op.Steps = append(slices.Clone(op.Steps), api.Step{Time: begun.Add(11 * time.Second), Text: "node n2 is ready"})
	if f.mode["operation-fails"] {
		op.State, op.Error = api.OperationFailed, api.Errorf(api.CodeQuota, "the cloud has no room for another machine")
	}
	return op
}

func (f *fake) set(mode string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode[mode] = on
	if mode == "php" {
		f.addPHP()
	}
	if mode == "generic" {
		f.addGeneric()
	}
	if mode == "mysql" {
		f.addMySQL()
	}
	if mode == "service-error" {
		f.services[0].State, f.services[0].Reason = api.StateError, "no machine answers"
	}
	if mode == "hostile" {
		f.apps[1].Name, f.apps[1].Reason, f.nodes[0].Reason = hostile, hostile, hostile
		f.services[0].Settings = map[string]string{hostile: hostile}
		f.ops[0].Steps[0].Text = hostile
	}
}

func (f *fake) mistake(r *http.Request, text string) {
	f.mistakes = append(f.mistakes, fmt.Sprintf("%s %s: %s", r.Method, r.URL, text))
}

func problem(w http.ResponseWriter, e *api.Error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// body reads a request strictly.
func body[T any](f *fake, w http.ResponseWriter, r *http.Request) (T, bool) {
	var in T
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/json" {
		f.mistake(r, fmt.Sprintf("body: %v, type %q", err, r.Header.Get("Content-Type")))
		problem(w, api.Errorf(api.CodeInvalid, "body: %v", err))
		return in, false
	}
	return in, true
}

func (f *fake) app(r *http.Request) (*api.Application, *api.Error) {
	name := r.PathValue("application")
	for i, a := range f.apps {
		if a.Name == name || a.ID.String() == name {
			return &f.apps[i], nil
		}
	}
	return nil, api.Errorf(api.CodeNotFound, "there is no application %q; see: cps application list", name)
}

func (f *fake) service(r *http.Request) (*api.Service, *api.Error) {
	app, err := f.app(r)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("service")
	for i, s := range f.services {
		if s.Application == app.ID && (s.Name == name || s.ID.String() == name) {
			return &f.services[i], nil
		}
	}
	return nil, api.Errorf(api.CodeNotFound, "there is no service %q in application %q", name, app.Name)
}

// list answers one page, or two where the script wants it.
func list[T any](f *fake, w http.ResponseWriter, r *http.Request, items []T) {
	if f.mode["pages"] && len(items) > 1 {
		if r.URL.Query().Get("after") == "" {
			answer(w, http.StatusOK, api.List[T]{Items: items[:1], Next: "1"})
			return
		}
		items = items[1:]
	}
	answer(w, http.StatusOK, api.List[T]{Items: items})
}

// allowed tells whether a query has only what the contract names for the route.
func allowed(r *http.Request, names string) bool {
	for name := range r.URL.Query() {
		if !slices.Contains(strings.Fields(names), name) {
			return false
		}
	}
	return true
}
