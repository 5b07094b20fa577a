package wire

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"conpaas/client/api"
)

// endless writes a piece until the reader has left.
func endless(w http.ResponseWriter, piece string) {
	for {
		if _, err := w.Write([]byte(piece)); err != nil {
			return
		}
	}
}

// A child that lies, or never ends, costs its parent a bounded read and an error, whatever is asked of it.
func TestLyingChild(t *testing.T) {
	w := newWorld(t)
	piece := strings.Repeat("x", 64<<10)
	lies := map[string]http.HandlerFunc{
		"endless answer": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"items":["`)
			endless(w, piece)
		},
		"endless error": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", problemType)
			w.WriteHeader(500)
			endless(w, piece)
		},
		"endless header": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 10_000 {
				w.Header().Set(fmt.Sprint("X-", i), piece[:100])
			}
		},
		"wrong type":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"items":7,"next":[]}`) },
		"another document": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `"text"`) },
		"deep":             func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("[", 1<<20)) },
		"no JSON":          func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "\xff\x00<html>") },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"items"`)
			panic(http.ErrAbortHandler)
		},
		"many interim answers": func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				w.WriteHeader(http.StatusEarlyHints)
			}
			w.WriteHeader(http.StatusTeapot)
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			client := w.client(w.serve(lie))
			client.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Call[api.List[string]](t.Context(), client, "GET", "/", nil)
			if err == nil || api.CodeFrom(err) == "" || len(err.Error()) > 2000 {
				t.Errorf("a call gives %.300v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := false
			for _, err := range CallLines[api.AgentReport](ctx, client, "GET", "/", nil) {
				failed = failed || err != nil
			}
			if !failed {
				t.Error("a stream gives no error")
			}
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 8*answerMax {
				t.Errorf("it has taken %d MiB", grown>>20)
			}
		})
	}
}
