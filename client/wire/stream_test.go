package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conpaas/client/api"
)

type line struct {
	Text string `json:"text"`
	Data []byte `json:"data,omitempty"`
}

func collect[T any](seq func(func(T, error) bool)) (all []T, last error) {
	for v, err := range seq {
		if err != nil {
			last = err
			continue
		}
		all = append(all, v)
	}
	return all, last
}

func TestLinesAndEventsGiveWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Custom(func(t *rapid.T) line {
			return line{Text: rapid.String().Draw(t, "text"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
		})).Draw(t, "lines")
		lines, events := httptest.NewRecorder(), httptest.NewRecorder()
		writer := NewLineWriter(lines)
		for i, v := range want {
			if err := errors.Join(writer.Write(v), WriteKeepAlive(events), WriteEvent(events, fmt.Sprint(i), v)); err != nil {
				t.Fatal(err)
			}
		}
		for name, seq := range map[string]func(func(line, error) bool){"lines": Lines[line](lines.Body), "events": Events[line](events.Body)} {
			got, err := collect(seq)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s: got %d of %d, %v", name, len(got), len(want), err)
			}
			for i := range got {
				if got[i].Text != strings.ToValidUTF8(want[i].Text, "\ufffd") || string(got[i].Data) != string(want[i].Data) {
					t.Fatalf("%s: got %q, want %q", name, got[i], want[i])
				}
			}
		}
	})
}

func TestStreamEnds(t *testing.T) {
	long := strings.Repeat("x", lineMax)
	tests := []struct {
		name, text string
		read       func(io.Reader) func(func(line, error) bool)
		want       []string
		is         error
		says       string
	}{
		{"lines", "{\"text\":\"a\"}\n\n{\"text\":\"b\"}\r\n", readLines, []string{"a", "b"}, nil, ""},
		{"torn line", "{\"text\":\"a\"}\n{\"text\":\"b\"}", readLines, []string{"a"}, io.ErrUnexpectedEOF, ""},
		{"no line", "", readLines, nil, nil, ""},
		{"not JSON", "{\"text\":\"a\"}\n<html>\n{\"text\":\"b\"}\n", readLines, []string{"a"}, nil, "line is no"},
		{"long line", "{\"text\":\"a\"}\n" + long + "xx\n", readLines, []string{"a"}, nil, "longer than"},
		{"events", "id: 1\ndata: {\"text\":\ndata:\"a\"}\n\n: comment\nevent: x\nretry: 1\n\ndata:{\"text\":\"b\"}\n\n", readEvents, []string{"a", "b"}, nil, ""},
		{"torn event", "data: {\"text\":\"a\"}\n", readEvents, nil, io.ErrUnexpectedEOF, ""},
		{"long event", strings.Repeat("data: "+long[:1000]+"\n", lineMax/1000+1) + "\n", readEvents, nil, nil, "longer than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := collect(test.read(strings.NewReader(test.text)))
			var texts []string
			for _, l := range got {
				texts = append(texts, l.Text)
			}
			if !slices.Equal(texts, test.want) {
				t.Errorf("got %q, want %q", texts, test.want)
			}
			if (err != nil) != (test.is != nil || test.says != "") || test.is != nil && !errors.Is(err, test.is) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func readLines(r io.Reader) func(func(line, error) bool)  { return Lines[line](r) }
func readEvents(r io.Reader) func(func(line, error) bool) { return Events[line](r) }

func TestTooLongIsNotWritten(t *testing.T) {
	w := httptest.NewRecorder()
	long := strings.Repeat("x", lineMax)
	for name, err := range map[string]error{
		"line": NewLineWriter(w).Write(long), "event": WriteEvent(w, "", long), "id": WriteEvent(w, "a\nb", 1),
		"line type": NewLineWriter(w).Write(func() {}), "event type": WriteEvent(w, "", func() {}),
	} {
		if err == nil || w.Body.Len() != 0 {
			t.Errorf("%s: %d bytes were written, %v", name, w.Body.Len(), err)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("id: 1\ndata: {\"text\":\"a\"}\n\n")
	f.Add(":\n\ndata\ndata:\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		collect(Lines[line](strings.NewReader(text)))
		collect(Events[line](strings.NewReader(text)))
	})
}

// streamAPI has /lines and /events, which send one item for each that comes out of the channel.
func streamAPI(w *world, items <-chan string, gone chan<- struct{}) *API {
	a := w.api(nobodyKnown)
	follow := func(r *http.Request, send func(string) error) error {
		defer func() { gone <- struct{}{} }()
		for {
			select {
			case <-r.Context().Done():
				return nil
			case item := <-items:
				if err := send(item); err != nil {
					return err
				}
			}
		}
	}
	a.Raw(Route{Method: "GET", Path: "/lines", ID: "lines"}, anyone, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		writer := NewLineWriter(w)
		return follow(r, func(item string) error { return writer.Write(line{Text: item}) })
	})
	a.Raw(Route{Method: "GET", Path: "/events", ID: "events"}, anyone, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		return follow(r, func(item string) error { return WriteEvent(w, item, line{Text: item}) })
	})
	return a
}

func TestStreamsOverHTTP(t *testing.T) {
	for _, test := range []struct {
		path, kind string
		read       func(io.Reader) func(func(line, error) bool)
		h2         bool
	}{
		{"/lines", "application/x-ndjson", readLines, false},
		{"/events", "text/event-stream", readEvents, false},
		{"/events", "text/event-stream", readEvents, true},
	} {
		t.Run(fmt.Sprintf("%s h2=%v", test.path, test.h2), func(t *testing.T) {
			w := newWorld(t)
			items, gone := make(chan string), make(chan struct{}, 1)
			client := w.client(w.serve(streamAPI(w, items, gone).Handler()))
			if test.h2 {
				transport := client.HTTP.Transport.(*http.Transport)
				transport.Protocols.SetHTTP2(true)
				transport.TLSClientConfig.NextProtos = []string{"h2", "http/1.1"}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { items <- "a" }()
			r, _ := http.NewRequestWithContext(ctx, "GET", client.Base+test.path, nil)
			answer, err := client.HTTP.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if kind := answer.Header.Get("Content-Type"); kind != test.kind || (answer.ProtoMajor == 2) != test.h2 {
				t.Errorf("%s with content type %q", answer.Proto, kind)
			}
			var got []string
			for l, err := range test.read(answer.Body) {
				if err != nil {
					if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
						t.Errorf("the stream ended with %v", err)
					}
					break
				}
				if got = append(got, l.Text); len(got) == 3 {
					cancel()
					continue
				}
				items <- fmt.Sprint(len(got))
			}
			<-gone // the handler knows that its reader has left
			if want := []string{"a", "1", "2"}; !cmp.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// A stream whose request has a body that nobody asked for ends with its reader too.
func TestStreamWithAnUnwantedBody(t *testing.T) {
	w := newWorld(t)
	items, gone := make(chan string), make(chan struct{}, 1)
	client := w.client(w.serve(streamAPI(w, items, gone).Handler()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { items <- "a" }()
	body, err := Stream(ctx, client, "GET", "/lines", map[string]string{"surprise": "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	cancel()
	<-gone
	large := strings.NewReader(strings.Repeat("x", bodyMax+1))
	if _, err := Stream(t.Context(), client, "GET", "/lines", large); api.CodeFrom(err) != api.CodeTooLarge {
		t.Errorf("a large body that nobody asked for: %v", err)
	}
}

func TestStreamOfRefusal(t *testing.T) {
	w := newWorld(t)
	client := w.client(w.serve(testAPI(w).Handler()))
	if body, err := Stream(t.Context(), client, "GET", "/v1/rawfail/typed", nil); api.CodeFrom(err) != api.CodeQuota || body != nil {
		t.Errorf("got %v, %v", body, err)
	}
}
