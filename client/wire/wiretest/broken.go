package wiretest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// brokenRequests are what no client sends. The answer to each, where there is one, is 4xx, or a 5xx that RFC 9110 has for a
// protocol that a server does not speak.
func brokenRequests() map[string]string {
	const post = "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	get := func(header string) string { return "GET /v1/version HTTP/1.1\r\nHost: x\r\n" + header + "\r\n\r\n" }
	return map[string]string{
		"two lengths":                  post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
		"two lengths in one header":    post + "Content-Length: 1, 2\r\n\r\n{}",
		"a length and chunks":          post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a negative length":            post + "Content-Length: -1\r\n\r\n",
		"a length that is no number":   post + "Content-Length: 0x10\r\n\r\n",
		"a huge length":                post + "Content-Length: 9223372036854775807\r\n\r\n{}",
		"a length beyond 64 bits":      post + "Content-Length: 18446744073709551616\r\n\r\n{}",
		"a body that ends early":       post + "Content-Length: 100\r\n\r\n{\"a",
		"chunks without end":           post + "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n",
		"a huge chunk":                 post + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}",
		"a chunk of no size":           post + "Transfer-Encoding: chunked\r\n\r\nx\r\n{}",
		"a long extension of a chunk":  post + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 100_000) + "\r\n{}\r\n0\r\n\r\n",
		"another encoding":             post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"an encoding in disguise":      post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"gzip":                         post + "Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
		"no host":                      "GET /v1/version HTTP/1.1\r\n\r\n",
		"two hosts":                    get("Host: y"),
		"a header without a colon":     get("Surprise"),
		"a space before the colon":     get("Content-Length : 0"),
		"a NUL in a header":            get("X-A: a\x00b"),
		"a header without a name":      get(": x"),
		"very many headers":            get(strings.Repeat("X-A: b\r\n", 20_000) + "X-B: c"),
		"a large header":               get("X-A: " + strings.Repeat("a", 200_000)),
		"an unknown expectation":       get("Expect: the worst"),
		"no version":                   "GET /v1/version\r\n\r\n",
		"another version":              "GET /v1/version HTTP/3.0\r\nHost: x\r\n\r\n",
		"HTTP/2 on this connection":    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a method with a space in it":  "GE T /v1/version HTTP/1.1\r\nHost: x\r\n\r\n",
		"a long method":                strings.Repeat("A", 5000) + " /v1/version HTTP/1.1\r\nHost: x\r\n\r\n",
		"a path that is none":          "GET v1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"a path with a NUL":            "GET /v1/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"a broken escape":              "GET /v1/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"a proxy's request":            "GET http://evil.example/nothing HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"a tunnel through a proxy":     "CONNECT evil.example:25 HTTP/1.1\r\nHost: evil.example:25\r\n\r\n",
		"a long path":                  "GET /" + strings.Repeat("a/", 15_000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"climbing out":                 "GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		"escaped climbing out":         "GET /download/code/%2e%2e/%2e%2e/etc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n",
		"no HTTP":                      "\x00\x01\x02\x03\r\n\r\n",
		"a method that does not exist": "BREW /v1/version HTTP/1.1\r\nHost: x\r\n\r\n",
		"tracing":                      "TRACE /v1/version HTTP/1.1\r\nHost: x\r\n\r\n",
	}
}

// AttackConnection sends requests that are no HTTP, or hardly, each on a connection that dial makes.
func AttackConnection(t *testing.T, dial func() (net.Conn, error)) {
	t.Helper()
	for name, text := range brokenRequests() {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		answer, err := exchange(conn, text)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case answer == 0: // closed, which is an answer too
		case answer < 400, answer >= 500 && answer != http.StatusNotImplemented && answer != http.StatusHTTPVersionNotSupported:
			t.Errorf("%s: %d", name, answer)
		}
		conn.Close()
	}
}

// exchange sends a text and no more, and gives the status of the answer, 0 where the connection is closed without one.
func exchange(conn net.Conn, text string) (int, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	var sent error
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, sent = io.WriteString(conn, text); sent == nil {
			if half, ok := conn.(interface{ CloseWrite() error }); ok {
				sent = half.CloseWrite()
			}
		}
	}()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		conn.Close()
		<-done
		if late, ok := err.(net.Error); ok && late.Timeout() {
			return 0, fmt.Errorf("no answer within %s", patience)
		}
		return 0, nil
	}
	conn.Close()
	<-done
	return answer.StatusCode, nil
}

// AttackMethods tries every path of a document with methods that it does not have, and paths that it does not have.
func (g Target) AttackMethods(t *testing.T) {
	t.Helper()
	ops, err := Operations(g.Document)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, op := range ops {
		has[op.Method+" "+op.Path] = true
	}
	for _, op := range ops {
		for _, method := range []string{"GET", "PUT", "POST", "PATCH", "DELETE", "TRACE", "BREW"} {
			if other := (Operation{ID: op.ID, Method: method, Path: op.Path}); !has[method+" "+op.Path] {
				g.refused(t, other, g.fill(other, "-", ""), http.StatusMethodNotAllowed)
			}
		}
		g.refused(t, op, g.fill(op, "-", "")+"/nothing-7", http.StatusNotFound)
	}
}

// refused wants a problem document with a status, and the methods that are possible where it is about the method.
func (g Target) refused(t *testing.T, op Operation, path string, status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), op.Method, "http://x"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := g.Send(op, r, true)
	if err != nil {
		t.Errorf("%s %s: %v", op.Method, path, err)
		return
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, answerMax)) // what is missing shows below
	// Another route may have the path, with a parameter where this one has a word, and asks who calls.
	other := answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusMethodNotAllowed
	if answer.StatusCode != status && !other {
		t.Errorf("%s %s: %d %.200s, want %d", op.Method, path, answer.StatusCode, text, status)
		return
	}
	if answer.StatusCode == http.StatusMethodNotAllowed && answer.Header.Get("Allow") == "" {
		t.Errorf("%s %s: the answer does not say which methods are possible", op.Method, path)
	}
	for _, problem := range g.problems(shot{op: op}, answer, text, answer.Header.Get(api.HeaderRequestID)) {
		t.Errorf("%s %s: %d %s: %.300s", op.Method, path, answer.StatusCode, problem, text)
	}
}
