package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"conpaas/client/api"
)

// streamTo gives a client whose streams answer serves; what it answers with is all that the child says.
func streamTo(t *testing.T, answer func(conn net.Conn)) *Client {
	t.Helper()
	open := func(child string) (net.Conn, error) {
		if child != "n1" {
			return nil, api.Errorf(api.CodeUnavailable, "%s is not connected", child)
		}
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		go answer(far)
		return near, nil
	}
	return &Client{HTTP: &http.Client{Transport: streams{open}}, Base: "http://n1"}
}

func TestStreamsBoundHeaders(t *testing.T) {
	written := make(chan int, 1)
	c := streamTo(t, func(conn net.Conn) {
		go io.Copy(io.Discard, conn)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		total := 0
		for {
			n, err := io.WriteString(conn, "X-Endless: "+strings.Repeat("x", 1000)+"\r\n")
			if total += n; err != nil {
				written <- total
				return
			}
		}
	})
	if _, err := Call[struct{}](t.Context(), c, http.MethodGet, "/v1/x", nil); api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("a header without an end: %v", err)
	}
	if total := <-written; total > 2*headerMax {
		t.Errorf("%d bytes of header were taken, at most %d are", total, headerMax)
	}
}

// A child that answers before it has the whole body, and takes no more of it, is heard.
func TestStreamsHearEarlyAnswers(t *testing.T) {
	c := streamTo(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Error(err)
		}
		io.WriteString(conn, "HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nContent-Length: 30\r\n\r\n{\"code\":\"stale\",\"status\":409}  ")
	})
	body := io.LimitReader(zeroes{}, 64<<20)
	if _, err := Call[struct{}](t.Context(), c, http.MethodPut, "/v1/x", body); api.CodeFrom(err) != api.CodeStale {
		t.Errorf("got %v, want %s", err, api.CodeStale)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

func TestStreamsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := streamTo(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return // the call that has ended before it began
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nfirst")
	})
	body, err := Stream(ctx, c, http.MethodGet, "/v1/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(body, first); err != nil || string(first) != "first" {
		t.Errorf("read %q, %v", first, err)
	}
	cancel()
	if _, err := body.Read(first); err == nil {
		t.Error("the body goes on after the end of its context")
	}
	if _, err := Call[struct{}](ctx, c, http.MethodGet, "/v1/x", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a call after the end of its context: %v", err)
	}
	c.Base = "http://n2"
	if _, err := Call[struct{}](t.Context(), c, http.MethodGet, "/v1/x", nil); api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("a call to a child that is not there: %v", err)
	}
}
