package manager

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"conpaas/client/api"
	"conpaas/client/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = api.Epoch{Fence: 3, Incarnation: 2, Revision: 7}

// serve gives a client of a manager that answers with these lines, and what it was asked.
func serve(t *testing.T, status int, lines ...any) (*Client, *string) {
	t.Helper()
	asked := new(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*asked = fmt.Sprintf("%s %s %s.%s.%s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get(api.HeaderFence),
			r.Header.Get(api.HeaderIncarnation), r.Header.Get(api.HeaderRevision), r.Header.Get(api.HeaderProtocol), body)
		w.WriteHeader(status)
		for _, line := range lines {
			if text, ok := line.(string); ok {
				io.WriteString(w, text)
				continue
			}
			if err := json.NewEncoder(w).Encode(line); err != nil {
				t.Error(err)
			}
		}
	}))
	t.Cleanup(server.Close)
	return New(&wire.Client{HTTP: server.Client(), Base: server.URL}), asked
}

func TestPutApplication(t *testing.T) {
	c, asked := serve(t, http.StatusNoContent)
	spec := api.ManagerSpec{Application: api.ApplicationSpec{ID: 9, Name: "a"}}
	if err := c.PutApplication(t.Context(), epoch, spec); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if want := "PUT /v1/application 3.2.7 1 " + string(body); *asked != want {
		t.Errorf("asked %q, want %q", *asked, want)
	}
	c, _ = serve(t, http.StatusConflict, api.Errorf(api.CodeStale, "older"))
	if err := c.PutApplication(t.Context(), epoch, spec); api.CodeFrom(err) == "" {
		t.Error("a refusal is no error")
	}
}

func TestStreamGivesWholeStatuses(t *testing.T) {
	direct := func(id api.NodeID) api.PeerStatus { return api.PeerStatus{Peer: id, Path: api.PathDirect} }
	status := func(version string, peers ...api.PeerStatus) *api.NodeStatus {
		return &api.NodeStatus{Version: version, Overlay: peers}
	}
	nodes := func(list ...api.NodeHealth) []api.NodeHealth { return list }
	c, asked := serve(t, http.StatusOK,
		api.ManagerReport{Snapshot: true, Revision: 1, Nodes: nodes(api.NodeHealth{Node: "n1", Status: status("a", direct("n2"))}, api.NodeHealth{Node: "n2"})},
		api.ManagerReport{Nodes: nodes(api.NodeHealth{Node: "n1", Status: status("b", direct("n3"))})},
		api.ManagerReport{},
		api.ManagerReport{Nodes: nodes(api.NodeHealth{Node: "n1", Status: status("c", api.PeerStatus{Peer: "n2"}, api.PeerStatus{Peer: "n3", Path: api.PathRelayed, Relay: "r"})})},
		api.ManagerReport{Nodes: nodes(api.NodeHealth{Node: "n1"})},
		api.ManagerReport{Nodes: nodes(api.NodeHealth{Node: "n1", Status: status("d")})},
		api.ManagerReport{Snapshot: true, Nodes: nodes(api.NodeHealth{Node: "n1", Status: status("e", direct("n9"))})},
	)
	var got []string
	for r, err := range c.Stream(t.Context(), epoch, nil) {
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, h := range r.Nodes {
			text += string(h.Node)
			if h.Status != nil {
				text += " " + h.Status.Version
				for _, p := range h.Status.Overlay {
					text += fmt.Sprintf(" %s:%s", p.Peer, p.Path)
				}
			}
			text += ";"
		}
		got = append(got, text)
	}
	want := []string{"n1 a n2:direct;n2;", "n1 b n2:direct n3:direct;", "", "n1 c n3:relayed;", "n1;", "n1 d;", "n1 e n9:direct;"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the stream gives (-want +got):\n%s", diff)
	}
	if want := "GET /v1/stream 3.2.7 1 "; *asked != want {
		t.Errorf("asked %q, want %q", *asked, want)
	}
}

func TestStreamEndsWithItsError(t *testing.T) {
	c, _ := serve(t, http.StatusOK, api.ManagerReport{Revision: 1}, "{")
	var last error
	count := 0
	for _, err := range c.Stream(t.Context(), epoch, nil) {
		count++
		last = err
	}
	if count != 2 || last == nil {
		t.Errorf("%d lines, the last with %v; want a line and an error", count, last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range c.Stream(ctx, epoch, nil) {
		if err == nil {
			t.Error("a stream without a context gives a line")
		}
	}
}

func TestExec(t *testing.T) {
	zero := 0
	c, asked := serve(t, http.StatusOK, api.ExecFrame{Stdout: []byte("x")}, api.ExecFrame{Exit: &zero})
	var frames []api.ExecFrame
	for f, err := range c.Exec(t.Context(), epoch, "n/1", api.ExecRequest{Command: []string{"id"}}) {
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	if len(frames) != 2 || frames[1].Exit == nil || !strings.HasPrefix(*asked, `POST /v1/nodes/n%2F1/exec 3.2.7 1 {"command":["id"]`) {
		t.Errorf("frames %+v, asked %q", frames, *asked)
	}
}

func TestLogs(t *testing.T) {
	c, asked := serve(t, http.StatusOK, "line\n")
	for want, call := range map[string]func() (io.ReadCloser, error){
		"GET /v1/log": func() (io.ReadCloser, error) { return c.Log(t.Context(), epoch, LogRange{}) },
		"GET /v1/log?follow=true&lines=5": func() (io.ReadCloser, error) {
			return c.Log(t.Context(), epoch, LogRange{Lines: 5, Follow: true})
		},
		"GET /v1/nodes/n1/log": func() (io.ReadCloser, error) { return c.NodeLog(t.Context(), epoch, "n1", "", LogRange{}) },
		"GET /v1/nodes/n1/log?lines=1&name=nginx+a%26b": func() (io.ReadCloser, error) {
			return c.NodeLog(t.Context(), epoch, "n1", "nginx a&b", LogRange{Lines: 1})
		},
	} {
		r, err := call()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || string(text) != "line\n" || !strings.HasPrefix(*asked, want+" 3.2.7") {
			t.Errorf("%s: asked %q, got %q, %v", want, *asked, text, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
