package director_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/google/go-cmp/cmp"
)

// serve gives a client for a director that answers with h, and the log of its requests.
func serve(t *testing.T, h http.HandlerFunc) (*director.Client, *bytes.Buffer) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	s.StartTLS()
	t.Cleanup(s.Close)
	var lines bytes.Buffer
	c, err := director.New(director.Config{
		URL: s.URL, CA: caOf(s), Token: "secret-token",
		Log: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, &lines
}

func caOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestListsFollowTheirPages(t *testing.T) {
	c, lines := serve(t, func(w http.ResponseWriter, r *http.Request) {
		page := map[string]string{
			"": `{"items":[{"name":"a"},{"name":"b"}],"next":"b c"}`, "b c": `{"items":[{"name":"c"}]}`,
		}[r.URL.Query().Get("after")]
		if r.URL.Path != "/v1/operations" || r.URL.Query().Get("application") != "my shop" || r.Header.Get("Authorization") != "Bearer secret-token" {
			t.Errorf("unexpected request %s %v", r.URL, r.Header)
		}
		_, _ = fmt.Fprint(w, strings.ReplaceAll(page, "name", "id"))
	})
	ops, err := c.Operations(t.Context(), "my shop")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]api.Operation{{ID: "a"}, {ID: "b"}, {ID: "c"}}, ops); diff != "" {
		t.Error(diff)
	}
	if text := lines.String(); strings.Count(text, "path=") != 2 || strings.Contains(text, "secret") {
		t.Errorf("log of two requests, without the token: %s", text)
	}
}

func TestAPageThatNamesItselfEndsTheList(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{"items":[],"next":"x"}`) })
	if _, err := c.Applications(t.Context()); err == nil || !strings.Contains(err.Error(), "same page") {
		t.Errorf("got %v, want an error about the same page", err)
	}
}

func TestNamesStayInTheirPartOfThePath(t *testing.T) {
	for name, want := range map[string]string{
		"shop": "/v1/applications/shop", "my shop": "/v1/applications/my%20shop", "a/b": "/v1/applications/a%2Fb",
		"..": "/v1/applications/%2E%2E", ".": "/v1/applications/%2E", "a?x=1#y": "/v1/applications/a%3Fx=1%23y",
	} {
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI != want {
				t.Errorf("%q asks for %s, want %s", name, r.RequestURI, want)
			}
			_, _ = fmt.Fprint(w, `{"name":"x"}`)
		})
		if _, err := c.Application(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}

func TestProblemsKeepTheirCode(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprint(w, `{"code":"conflict","detail":"name is taken"}`)
	})
	_, err := c.CreateApplication(t.Context(), api.ApplicationCreate{Name: "shop"})
	if api.CodeFrom(err) != api.CodeConflict || err.Error() != "name is taken" {
		t.Errorf("got %v", err)
	}
	for frame, err := range c.Exec(t.Context(), "n1", api.ExecRequest{Command: []string{"ls"}}) {
		if api.CodeFrom(err) != api.CodeConflict {
			t.Errorf("got %v, %v", frame, err)
		}
	}
}

func TestACertificateForAnotherNameIsNotTrusted(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	url := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	c, err := director.New(director.Config{URL: url, CA: caOf(s), Token: "secret-token"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Me(t.Context())
	if trust, ok := errors.AsType[*director.TrustError](err); !ok || trust.URL != url {
		t.Errorf("got %v, want a TrustError", err)
	}
	for _, err := range c.WatchOperation(t.Context(), "op1") {
		if _, ok := errors.AsType[*director.TrustError](err); !ok {
			t.Errorf("stream: got %v, want a TrustError", err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if _, err := c.Me(t.Context()); err == nil {
		t.Error("a redirect is no answer")
	}
}

func TestStreamsEndWithTheLoop(t *testing.T) {
	left := make(chan struct{})
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		for i := 0; r.Context().Err() == nil; i++ {
			if _, err := fmt.Fprintf(w, "data: {\"id\":\"op%d\"}\n\n", i); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	})
	for op, err := range c.WatchOperation(t.Context(), "op1") {
		if err != nil || op.ID != "op0" {
			t.Errorf("got %v, %v", op, err)
		}
		break
	}
	<-left
}
