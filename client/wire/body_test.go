package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conpaas/client/api"
)

type echoInput[T any] struct{ Body T }

// echoes adds a route that answers with its body, and gives a call of it that compares.
func echoes[T any](a *API, name string) {
	Register(a, Route{Method: "POST", Path: "/" + name, ID: name}, anyone,
		func(_ context.Context, in *echoInput[T]) (*echoInput[T], error) { return in, nil })
}

// What Go makes of the types of client/api must be let through: null for empty maps and lists, "" for unknown addresses.
func TestGoZeroValuesAreAccepted(t *testing.T) {
	w := newWorld(t)
	a := w.api(nobodyKnown)
	echoes[api.ManagerSpec](a, "manager-spec")
	echoes[api.NodeSpec](a, "node-spec")
	echoes[api.PeerDelta](a, "peer-delta")
	echoes[api.ManagerReport](a, "manager-report")
	echoes[api.JoinRequest](a, "join")
	echoes[api.NodesChange](a, "change")
	client := w.client(w.serve(a.Handler()))
	address := netip.MustParseAddr("172.16.0.1")
	for _, test := range []struct {
		path string
		body any
	}{
		{"/manager-spec", api.ManagerSpec{}},
		{"/manager-spec", api.ManagerSpec{
			Application: api.ApplicationSpec{Network: api.Network{Prefix: netip.MustParsePrefix("172.16.0.0/12")}, Services: []api.ServiceSpec{{}, {Nodes: map[api.Role]int{"node": 1}}}},
			Nodes:       []api.NodeInfo{{}, {Overlay: address, Endpoint: netip.AddrPortFrom(address, 1)}},
			Relays:      []api.Relay{{}},
		}},
		{"/node-spec", api.NodeSpec{}},
		{"/node-spec", api.NodeSpec{Roles: []api.RoleSpec{{Role: "node", Config: api.RawJSON(`{"a":[1,null]}`)}}, Overlay: api.OverlaySpec{Peers: []api.Peer{{}}}}},
		{"/peer-delta", api.PeerDelta{}},
		{"/manager-report", api.ManagerReport{Self: &api.NodeStatus{}, Plan: &api.NodePlan{Services: []api.ServicePlan{{}}}, Event: &api.Event{}}},
		{"/join", api.JoinRequest{Token: "secret"}},
		{"/change", api.NodesChange{}},
	} {
		got, err := Call[api.RawJSON](t.Context(), client, "POST", test.path, test.body)
		want, _ := json.Marshal(test.body)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: sent %s, got %s, %v", test.path, want, got, err)
		}
	}
	wrong := strings.Replace(`{"network":{"prefix":"172.16.0.0/12","service_bits":5,"port":1,"active":true},"address":"A","version":1,"full":false}`, "A", "no address", 1)
	spec := `{"node":"n1","revision":1,"service":1,"type":"x","name":"x","roles":[],"overlay":` + wrong + `}`
	_, err := Call[api.RawJSON](t.Context(), client, "POST", "/node-spec", api.RawJSON(spec))
	if api.CodeFrom(err) != api.CodeInvalid || !strings.Contains(err.Error(), "no address") {
		t.Errorf("a wrong address gives %v", err)
	}
}

// A handler may work longer than the body was allowed to take: its context must not end with the body's deadline.
func TestDeadlineOfBodyDoesNotEndHandler(t *testing.T) {
	control := &deadlines{}
	r, _ := http.NewRequest("POST", "/", strings.NewReader("body"))
	pace(http.NewResponseController(control), r)
	if control.read.IsZero() {
		t.Fatal("a body has no deadline at first")
	}
	if _, err := io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	if !control.read.IsZero() {
		t.Errorf("the deadline %s is left after the body", control.read)
	}
}

// Each piece of an answer has a deadline; between pieces there is none, or HTTP/2 would end a stream that is idle.
func TestDeadlineOfAnswer(t *testing.T) {
	control := &deadlines{}
	for name, send := range map[string]func(http.ResponseWriter) error{
		"write":      func(w http.ResponseWriter) error { _, err := newRecorder(w).Write(nil); return err },
		"flush":      func(w http.ResponseWriter) error { return newRecorder(w).FlushError() },
		"line":       func(w http.ResponseWriter) error { return NewLineWriter(w).Write(1) },
		"keep alive": WriteKeepAlive,
	} {
		control.during = time.Time{}
		if err := send(control); err != nil || control.during.IsZero() || !control.write.IsZero() {
			t.Errorf("%s: %v, the deadline was %s and is %s", name, err, control.during, control.write)
		}
	}
}

// deadlines is an answer that keeps what deadlines were set last, and which was set when something was sent.
type deadlines struct {
	read, write, during time.Time
}

func (d *deadlines) Header() http.Header                { return http.Header{} }
func (d *deadlines) WriteHeader(int)                    {}
func (d *deadlines) Write(p []byte) (int, error)        { d.during = d.write; return len(p), nil }
func (d *deadlines) FlushError() error                  { d.during = d.write; return nil }
func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

func TestSlowBodyIsCut(t *testing.T) {
	for _, test := range []struct {
		name  string
		rate  int // bytes/s
		size  int
		whole bool
	}{
		{"stalls", 0, 10, false}, {"drips", 100, 100_000, false}, {"slow but small", 100, 1000, true}, {"steady", 100_000, 10_000_000, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				var sender sync.WaitGroup
				defer sender.Wait()
				defer near.Close()
				r, _ := http.NewRequest("POST", "/", nil)
				r.ContentLength, r.Body = int64(test.size), io.NopCloser(io.LimitReader(near, int64(test.size)))
				sender.Go(func() {
					defer far.Close()
					for sent := 0; sent < test.size && test.rate > 0; sent += test.rate {
						time.Sleep(time.Second)
						if _, err := far.Write(make([]byte, min(test.rate, test.size-sent))); err != nil {
							return
						}
					}
					if test.rate == 0 {
						io.Copy(io.Discard, far)
					}
				})
				pace(http.NewResponseController(&pipeWriter{conn: near}), r)
				n, err := io.Copy(io.Discard, r.Body)
				if test.whole != (err == nil && n == int64(test.size)) {
					t.Errorf("%d of %d bytes, then %v", n, test.size, err)
				}
				if slow, ok := errors.AsType[*api.Error](err); !test.whole && (!ok || slow.Status != 408) {
					t.Errorf("the error is %v", err)
				}
			})
		})
	}
}

type pipeWriter struct {
	http.ResponseWriter
	conn net.Conn
}

func (p *pipeWriter) SetReadDeadline(t time.Time) error { return p.conn.SetReadDeadline(t) }

// A refusal of a request whose body does not come must not wait for ever: the read deadline is set before the handler.
func TestRefusalDoesNotWaitForBody(t *testing.T) {
	w := newWorld(t)
	address := w.serve(testAPI(w).Handler())
	conn, err := tls.Dial("tcp", address, w.tlsConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/raw/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000000\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != 401 {
		t.Fatalf("got %v, %v", answer, err)
	}
	answer.Body.Close()
}

func TestBodyThatEndsEarly(t *testing.T) {
	w := newWorld(t)
	address := w.serve(testAPI(w).Handler())
	for _, start := range []string{"PUT /v1/things/a", "POST /v1/raw/a"} {
		conn, err := tls.Dial("tcp", address, w.tlsConfig(nil))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nTest-Caller: ada\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{\"name\":", start)
		conn.CloseWrite()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", start, err)
		}
		var got api.Error
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.Code != api.CodeInvalid || got.Field != "body" {
			t.Errorf("%s: got %+v, %v", start, got, err)
		}
	}
}
