package command_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"conpaas/client/api"
)

// routes are those of the contract; what follows the path are the query members that the route knows.
func (f *fake) routes() http.Handler {
	mux := http.NewServeMux()
	add := func(pattern, query string, public bool, h func(w http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if !allowed(r, query) {
				f.mistake(r, "unknown query member")
				problem(w, api.Errorf(api.CodeInvalid, "unknown query member"))
				return
			}
			w.Header().Set(api.HeaderCA, f.bundleName())
			if !public && (f.caller(r) == "" || f.mode["expired"]) {
				problem(w, api.Errorf(api.CodeUnauthenticated, "the login has expired"))
				return
			}
			h(w, r)
		})
	}
	const app, service = "/v1/applications/{application}", "/v1/applications/{application}/services/{service}"
	add("GET /v1/version", "", true, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, api.Version{Version: "9.9", Protocol: 1})
	})
	add("GET /v1/ca", "", true, f.bundle)
	add("GET /v1/ca/authorities", "", false, f.showCA)
	add("POST /v1/ca/rotate", "", false, f.rotateCA)
	add("POST /v1/ca/retire", "", false, f.retireCA)
	add("POST /v1/login", "", true, f.login)
	add("POST /v1/logout", "", false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	add("GET /v1/service-types", "after", false, func(w http.ResponseWriter, r *http.Request) { list(f, w, r, f.kinds()) })
	add("GET /v1/clouds", "after", false, func(w http.ResponseWriter, r *http.Request) { list(f, w, r, []api.Cloud{f.cloud()}) })
	add("GET /v1/clouds/{cloud}", "", false, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, f.cloud()) })
	add("POST /v1/clouds/{cloud}/check", "", false, f.check)
	f.imageRoutes(add)
	f.volumeRoutes(add)
	add("GET /v1/applications", "after", false, func(w http.ResponseWriter, r *http.Request) { list(f, w, r, f.apps) })
	add("POST /v1/applications", "", false, f.create)
	add("GET "+app+"/shares", "after", false, f.withApp(func(w http.ResponseWriter, r *http.Request, a *api.Application) {
		list(f, w, r, []api.Share{{Application: a.ID, User: "bob", Level: api.ShareView, Created: begun}})
	}))
	add("PUT "+app+"/shares/{user}", "", false, f.withApp(f.share))
	add("DELETE "+app+"/shares/{user}", "", false, f.withApp(func(w http.ResponseWriter, _ *http.Request, _ *api.Application) {
		w.WriteHeader(http.StatusNoContent)
	}))
	add("GET /v1/audit", "after limit user application action from failed since until", false, f.audit)
	add("GET "+app, "", false, f.withApp(func(w http.ResponseWriter, _ *http.Request, a *api.Application) { answer(w, http.StatusOK, a) }))
	add("PATCH "+app, "", false, f.withApp(func(w http.ResponseWriter, r *http.Request, a *api.Application) {
		if in, ok := body[api.Rename](f, w, r); ok {
			a.Name = in.Name
			answer(w, http.StatusOK, a)
		}
	}))
	add("DELETE "+app, "", false, f.begin(api.OpApplicationDelete))
	add("POST "+app+"/start", "", false, f.begin(api.OpApplicationStart))
	add("POST "+app+"/stop", "", false, f.begin(api.OpApplicationStop))
	add("GET "+app+"/network", "", false, f.withApp(f.network))
	add("GET "+app+"/events", "after follow", false, f.withApp(f.events))
	add("GET "+app+"/log", "lines follow", false, f.withApp(f.applicationLog))
	add("GET "+app+"/nodes", "after", false, f.withApp(func(w http.ResponseWriter, r *http.Request, a *api.Application) { list(f, w, r, f.nodesOf(a, 0)) }))
	add("GET "+app+"/services", "after", false, f.withApp(f.listServices))
	add("POST "+app+"/services", "", false, f.withApp(f.addService))
	add("GET "+service, "", false, f.withService(func(w http.ResponseWriter, _ *http.Request, s *api.Service) { answer(w, http.StatusOK, s) }))
	add("PATCH "+service, "", false, f.withService(func(w http.ResponseWriter, r *http.Request, s *api.Service) {
		if in, ok := body[api.Rename](f, w, r); ok {
			s.Name = in.Name
			answer(w, http.StatusOK, s)
		}
	}))
	add("DELETE "+service, "", false, f.begin(api.OpServiceRemove))
	add("POST "+service+"/start", "", false, f.begin(api.OpServiceStart))
	add("POST "+service+"/stop", "", false, f.begin(api.OpServiceStop))
	add("POST "+service+"/add-nodes", "", false, f.withService(f.changeNodes(api.OpAddNodes, 1)))
	add("POST "+service+"/remove-nodes", "", false, f.withService(f.changeNodes(api.OpRemoveNodes, -1)))
	add("GET "+service+"/nodes", "after", false, f.withService(func(w http.ResponseWriter, r *http.Request, s *api.Service) {
		list(f, w, r, f.nodesOf(&f.apps[0], s.ID))
	}))
	add("GET "+service+"/log", "kind lines follow", false, f.withService(f.serviceLog))
	f.codeRoutes(add, service)
	f.environmentRoutes(add, service)
	f.actionRoutes(add, service)
	f.userRoutes(add)
	f.tokenRoutes(add)
	f.certificateRoutes(add)
	f.creditRoutes(add)
	add("GET /v1/nodes/{node}", "", false, f.withNode(func(w http.ResponseWriter, _ *http.Request, n api.Node) { answer(w, http.StatusOK, n) }))
	add("POST /v1/nodes/{node}/exec", "", false, f.withNode(f.exec))
	add("GET /v1/nodes/{node}/console", "", false, f.withNode(func(w http.ResponseWriter, r *http.Request, _ api.Node) { text(w, r, "console") }))
	add("GET /v1/nodes/{node}/log", "name lines follow", false, f.withNode(func(w http.ResponseWriter, r *http.Request, _ api.Node) { text(w, r, "agent") }))
	add("GET /v1/operations", "application after", false, func(w http.ResponseWriter, r *http.Request) { list(f, w, r, f.ops) })
	add("GET /v1/operations/{operation}", "", false, f.withOperation(func(w http.ResponseWriter, _ *http.Request, o *api.Operation) { answer(w, http.StatusOK, o) }))
	add("POST /v1/operations/{operation}/cancel", "", false, f.withOperation(func(w http.ResponseWriter, _ *http.Request, o *api.Operation) {
		o.State = api.OperationCancelled
		answer(w, http.StatusOK, o)
	}))
	add("GET /v1/operations/{operation}/watch", "", false, f.withOperation(f.watch))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.mistake(r, "no such route")
		problem(w, api.Errorf(api.CodeNotFound, "no such route"))
	})
	return mux
}

// caller is the user whose token a request has.
func (f *fake) caller(r *http.Request) string {
	if len(r.TLS.PeerCertificates) > 0 {
		return fakeUser
	}
	for _, user := range []string{fakeUser, "bob"} {
		if r.Header.Get("Authorization") == "Bearer "+tokenOf+user {
			return user
		}
	}
	return ""
}

func (f *fake) login(w http.ResponseWriter, r *http.Request) {
	in, ok := body[api.Login](f, w, r)
	switch {
	case !ok:
	case in.Username != fakeUser && in.Username != "bob" || in.Password.Reveal() != fakePassword:
		problem(w, api.Errorf(api.CodeUnauthenticated, "user name or password is wrong"))
	case f.mode["second-factor"] && in.Code == "":
		problem(w, api.Errorf(api.CodeSecondFactor, "a code of the second factor is needed"))
	case f.mode["second-factor"] && in.Code != "123456":
		problem(w, api.Errorf(api.CodeUnauthenticated, "wrong user name, password or code"))
	default:
		f.mode["expired"] = false
		answer(w, http.StatusOK, api.Token{Token: api.Secret(tokenOf + in.Username), Expires: begun.AddDate(0, 0, 30), User: api.User{ID: 1, Name: in.Username, Role: api.RoleUser, Created: begun}})
	}
}

// kinds has a type that this program does not know, as a newer director would.
func (f *fake) kinds() []api.ServiceKind {
	kinds := api.Catalogue()
	return append(kinds, api.ServiceKind{Type: "novel", Description: "from the future", Roles: []api.RoleKind{{Role: "seer"}}})
}

func (f *fake) cloud() api.Cloud {
	return api.Cloud{Name: "default", Kind: "local", Options: map[string]string{"RUNTIME": "container", "KEY": "***"}, Nodes: 2}
}

func (f *fake) check(w http.ResponseWriter, _ *http.Request) {
	checks := []api.Check{{Name: "runc", OK: true, Detail: "1.1.5"}, {Name: "image", OK: !f.mode["cloud-broken"], Detail: "rootfs.tar"}}
	answer(w, http.StatusOK, api.List[api.Check]{Items: checks})
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	in, ok := body[api.ApplicationCreate](f, w, r)
	if !ok {
		return
	}
	for _, a := range f.apps {
		if a.Name == in.Name {
			problem(w, api.Errorf(api.CodeConflict, "name is taken; choose another or delete application %s", a.ID))
			return
		}
	}
	if in.Name == "boom" {
		e := api.Errorf(api.CodeInternal, "internal error")
		e.RequestID = "r-42"
		problem(w, e)
		return
	}
	a := api.Application{ID: 3, Name: in.Name, Owner: fakeUser, Cloud: "default", State: api.StateInit, Since: begun, Created: begun, Network: "172.16.0.0/12"}
	f.apps = append(f.apps, a)
	answer(w, http.StatusCreated, a)
}

func (f *fake) withApp(h func(http.ResponseWriter, *http.Request, *api.Application)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if app, err := f.app(r); err != nil {
			problem(w, err)
		} else {
			h(w, r, app)
		}
	}
}

func (f *fake) withService(h func(http.ResponseWriter, *http.Request, *api.Service)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if service, err := f.service(r); err != nil {
			problem(w, err)
		} else {
			h(w, r, service)
		}
	}
}

func (f *fake) withNode(h func(http.ResponseWriter, *http.Request, api.Node)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, n := range f.nodes {
			if string(n.ID) == r.PathValue("node") && n.State != api.NodeGone {
				h(w, r, n)
				return
			}
		}
		problem(w, api.Errorf(api.CodeNotFound, "there is no node %q", r.PathValue("node")))
	}
}

func (f *fake) withOperation(h func(http.ResponseWriter, *http.Request, *api.Operation)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i, o := range f.ops {
			if string(o.ID) == r.PathValue("operation") {
				h(w, r, &f.ops[i])
				return
			}
		}
		problem(w, api.Errorf(api.CodeNotFound, "there is no operation %q", r.PathValue("operation")))
	}
}

// begin answers with a new operation on the application, or service, of the path.
func (f *fake) begin(kind api.OperationKind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		app, err := f.app(r)
		var id api.ServiceID
		if err == nil && r.PathValue("service") != "" {
			var s *api.Service
			if s, err = f.service(r); err == nil {
				id = s.ID
			}
		}
		if err != nil {
			problem(w, err)
			return
		}
		op := f.operation(kind, app.ID, id)
		f.ops = append(f.ops, op)
		answer(w, http.StatusAccepted, op)
	}
}

// changeNodes adds machines to a service, or with a negative sign removes them.
func (f *fake) changeNodes(kind api.OperationKind, sign int) func(http.ResponseWriter, *http.Request, *api.Service) {
	return func(w http.ResponseWriter, r *http.Request, s *api.Service) {
		in, ok := body[api.NodesChange](f, w, r)
		if !ok {
			return
		}
		for role, count := range in.Nodes {
			if _, ok := s.Nodes[role]; !ok || count <= 0 {
				f.mistake(r, fmt.Sprintf("%s=%d should have been refused by the client", role, count))
			}
			s.Nodes[role] += sign * count
		}
		f.begin(kind)(w, r)
	}
}

func (f *fake) listServices(w http.ResponseWriter, r *http.Request, a *api.Application) {
	services := []api.Service{}
	for _, s := range f.services {
		if s.Application == a.ID {
			services = append(services, s)
		}
	}
	list(f, w, r, services)
}

func (f *fake) addService(w http.ResponseWriter, r *http.Request, a *api.Application) {
	in, ok := body[api.ServiceCreate](f, w, r)
	if !ok {
		return
	}
	for name := range in.Settings {
		if name != "greeting" {
			problem(w, api.InField("settings."+name, "a service of type %s has no such setting", in.Type))
			return
		}
	}
	s := api.Service{ID: 2, Application: a.ID, Type: in.Type, Name: "helloworld", Cloud: "default", State: api.StateInit, Since: begun, Created: begun, Settings: in.Settings}
	if in.Name != "" {
		s.Name = in.Name
	}
	f.services = append(f.services, s)
	answer(w, http.StatusCreated, s)
}

func (f *fake) nodesOf(a *api.Application, service api.ServiceID) []api.Node {
	nodes := []api.Node{}
	for _, n := range f.nodes {
		if n.Application == a.ID && (service == 0 || n.Service == service) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (f *fake) network(w http.ResponseWriter, _ *http.Request, _ *api.Application) {
	handshake := begun.Add(time.Minute)
	a1, a2 := netip.MustParseAddr("172.31.128.0"), netip.MustParseAddr("172.16.0.1")
	answer(w, http.StatusOK, api.ApplicationNetwork{
		Network: api.Network{Prefix: netip.MustParsePrefix("172.16.0.0/12"), ServiceBits: 5, Port: 51820, Active: true},
		Nodes: []api.NodeNetwork{
			{Node: "n1", Address: a1, DataPlane: "userspace", Peers: []api.PeerStatus{{Peer: "n2", Path: api.PathDirect, Endpoint: netip.MustParseAddrPort("10.210.0.3:51820"), Handshake: &handshake, LatencyMS: 0.31, Received: 2048, Sent: 5}}},
			{Node: "n2", Address: a2, DataPlane: "userspace", Peers: []api.PeerStatus{}},
		},
	})
}

// applicationLog breaks off when it is followed, then goes on, then its application is gone.
func (f *fake) applicationLog(w http.ResponseWriter, r *http.Request, a *api.Application) {
	lines := []string{"one\n", "two\n", "three\n", "four\n"}
	follow := r.URL.Query().Get("follow") == "true"
	if follow {
		f.follows++
	}
	switch {
	case f.follows == 0:
		text(w, r, "manager")
	case follow && f.follows == 1:
		breakOff(w, lines[0]+lines[1]+"thr")
	case follow:
		_, _ = io.WriteString(w, strings.Join(lines, ""))
	case f.follows == 1:
		_, _ = io.WriteString(w, strings.Join(lines[:3], ""))
	default:
		problem(w, api.Errorf(api.CodeNotFound, "there is no application %q", a.Name))
	}
}

// breakOff sends the beginning of a text.
func breakOff(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func text(w http.ResponseWriter, r *http.Request, name string) {
	if r.URL.Query().Get("name") == "broken.log" {
		breakOff(w, "half a log\n")
	}
	_, _ = fmt.Fprintf(w, "%s log %s\x1b[31m\r\n", name, r.URL.RawQuery)
}

func (f *fake) exec(w http.ResponseWriter, r *http.Request, _ api.Node) {
	in, ok := body[api.ExecRequest](f, w, r)
	if !ok {
		return
	}
	frames := json.NewEncoder(w)
	exit := 0
	switch in.Command[0] {
	case "cat":
		_ = frames.Encode(api.ExecFrame{Stdout: in.Stdin})
	case "false":
		_ = frames.Encode(api.ExecFrame{Stderr: []byte("no luck\n")})
		exit = 7
	case "missing":
		_ = frames.Encode(api.ExecFrame{Error: "there is no program missing"})
		return
	case "cut":
		_ = frames.Encode(api.ExecFrame{Stdout: []byte("begin\n")})
		return
	default:
		_ = frames.Encode(api.ExecFrame{Stdout: []byte(strings.Join(in.Command, "|") + " " + strconv.Itoa(in.Timeout) + "\n")})
	}
	_ = frames.Encode(api.ExecFrame{Exit: &exit})
}
