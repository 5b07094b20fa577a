package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/client/api"
)

func TestCallErrors(t *testing.T) {
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"/problem": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
			w.WriteHeader(409)
			io.WriteString(w, `{"code":"conflict","detail":"the name is taken","field":"name","later":"member of a newer server"}`)
		},
		"/html": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "<html>bad gateway", http.StatusBadGateway)
		},
		"/proxy": func(w http.ResponseWriter, r *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) },
		"/other": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>welcome") },
		"/cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "{")
		},
		"/codeless": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(404)
			io.WriteString(w, `{"message":"none of ours"}`)
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w, r) }))
	defer server.Close()
	client := &Client{HTTP: server.Client(), Base: server.URL}
	for _, test := range []struct {
		path   string
		code   api.Code
		status int
		says   string
		retry  bool
	}{
		{"/problem", api.CodeConflict, 409, "name: the name is taken", false},
		{"/html", api.CodeInternal, 502, "bad gateway", false},
		{"/proxy", api.CodeUnavailable, 503, "busy", true},
		{"/other", api.CodeInternal, 500, "check the address", false},
		{"/cut", api.CodeUnavailable, 503, "unexpected EOF", true},
		{"/codeless", api.CodeNotFound, 404, "none of ours", false},
	} {
		_, err := Call[thing](t.Context(), client, "GET", test.path, nil)
		got, ok := errors.AsType[*api.Error](err)
		if !ok {
			t.Fatalf("%s: %v is no *api.Error", test.path, err)
		}
		if got.Code != test.code || got.Status != test.status || got.Retry != test.retry || !strings.Contains(got.Error(), test.says) {
			t.Errorf("%s: got %+v", test.path, got)
		}
	}
	if _, err := Call[struct{}](t.Context(), client, "GET", "/other", nil); err != nil {
		t.Errorf("an answer that nobody wants matters: %v", err)
	}
	if _, err := Call[struct{}](t.Context(), client, "POST", "/other", func() {}); err == nil {
		t.Error("a function was sent as JSON")
	}
	if _, err := Call[struct{}](t.Context(), client, "GET", "/%zz", nil); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("a malformed path gives %v", err)
	}
}

func TestCallWithoutConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	client := &Client{HTTP: &http.Client{}, Base: "http://" + address}
	_, err = Call[thing](t.Context(), client, "GET", "/x", nil)
	if got, ok := errors.AsType[*api.Error](err); !ok || got.Code != api.CodeUnavailable || !got.Retry || strings.Count(got.Detail, "GET") != 1 {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Errorf("%v does not show its cause", err)
	}
}

func TestCallWithEndedContext(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	client := &Client{HTTP: server.Client(), Base: server.URL}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	for _, test := range []struct {
		ctx  context.Context
		is   error
		code api.Code
	}{{cancelled, context.Canceled, api.CodeUnavailable}, {expired, context.DeadlineExceeded, api.CodeTimeout}} {
		_, err := Call[thing](test.ctx, client, "GET", "/", nil)
		if !errors.Is(err, test.is) || api.CodeFrom(err) != test.code {
			t.Errorf("got %v, code %s", err, api.CodeFrom(err))
		}
	}
}

func TestClientSends(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer server.Close()
	client := &Client{HTTP: server.Client(), Base: server.URL, Token: "s3cret"}
	_, err := Call[struct{}](WithRequestID(t.Context(), "r1"), client, "PUT", "/", strings.NewReader("x"),
		WithEpoch(api.Epoch{Fence: 1, Incarnation: 2, Revision: 3}), WithHeader("Content-Range", "bytes 5-5/6"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer s3cret", api.HeaderRequestID: "r1", "Content-Type": "application/octet-stream", "Content-Range": "bytes 5-5/6",
		api.HeaderProtocol: "1", api.HeaderFence: "1", api.HeaderIncarnation: "2", api.HeaderRevision: "3",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
}

func TestTransportVerifiesName(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	address := w.serve(testAPI(w).Handler())
	for name, config := range map[string]*tls.Config{
		"other name":      {RootCAs: w.roots(), ServerName: "evil.example"},
		"other authority": {RootCAs: other.roots(), ServerName: serverName},
	} {
		transport := NewTransport(config, address)
		defer transport.CloseIdleConnections()
		client := &Client{HTTP: &http.Client{Transport: transport}, Base: "https://" + serverName}
		_, err := Call[struct{}](t.Context(), client, "POST", "/v1/nothing", nil)
		if got, ok := errors.AsType[*api.Error](err); !ok || got.Code != api.CodeUnavailable || got.Retry {
			t.Errorf("%s: got %+v", name, err)
		}
	}
	if _, err := Call[struct{}](t.Context(), w.client(address), "POST", "/v1/nothing", nil); err != nil {
		t.Error(err)
	}
}

func TestCallerNames(t *testing.T) {
	for want, c := range map[string]Caller{
		"anonymous": {}, "user 7 (ada)": {Kind: KindUser, User: 7, UserName: "ada"}, "director": {Kind: KindDirector},
		"agent n2": {Kind: KindAgent, Identity: certs.Identity{Node: "n2"}},
	} {
		if c.String() != want || c.LogValue().String() != want {
			t.Errorf("%+v is called %q, want %q", c, c, want)
		}
	}
}
