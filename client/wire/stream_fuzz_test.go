package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/yamux"

	"conpaas/client/api"
)

const fine = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"a\": 1}"

// Whatever a child says on the stream of a call, the call ends, with an answer or with an error that has a code.
func FuzzStreamAnswer(f *testing.F) {
	for _, answer := range []string{
		fine, fine[:len(fine)-1], strings.Replace(fine, "8", "9999999999", 1), strings.Replace(fine, "8", "-1", 1), strings.Replace(fine, "200", "500", 1),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"a\": 1}\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 x\r\n\r\n" + fine, "HTTP/1.1 204 No\r\n\r\nx", "HTTP/0.9 \x00", "",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := streamTo(t, func(conn net.Conn) {
			defer conn.Close()
			go io.Copy(io.Discard, conn)
			conn.Write(answer)
		})
		call(t, c)
	})
}

// call makes a call that may fail, but only with a code.
func call(t *testing.T, c *Client) {
	t.Helper()
	_, err := Call[map[string]any](t.Context(), c, http.MethodPut, "/v1/x", map[string]int{"b": 2})
	if known, ok := errors.AsType[*api.Error](err); err != nil && (!ok || known.Code == "") {
		t.Errorf("an error without a code: %v", err)
	}
}

// frame is one of yamux: kind 0 is data, 1 a window, 2 a ping, 3 the end; flag 1 opens, 2 accepts, 4 closes, 8 resets.
func frame(kind byte, flags uint16, stream, length uint32, data string) string {
	head := append([]byte{0, kind}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(head[2:], flags)
	binary.BigEndian.PutUint32(head[4:], stream)
	binary.BigEndian.PutUint32(head[8:], length)
	return string(head) + data
}

// Whatever a child sends in the tunnel, a call to it ends, and so does the session when the child has gone.
func FuzzTunnel(f *testing.F) {
	data, size := frame(0, 0, 1, uint32(len(fine)), fine), uint32(len(fine))
	for _, sent := range []string{
		frame(1, 2, 1, 0, "") + data + frame(0, 4, 1, 0, ""), data, frame(0, 2, 1, size+1, fine), frame(0, 2, 1, 1<<31, fine), frame(0, 2, 9, size, fine),
		frame(1, 1, 2, 0, "") + frame(1, 1, 2, 0, "") + data, frame(1, 1, 1, 0, ""), frame(1, 2, 1, 1<<32-1, "") + frame(1, 2, 1, 1<<32-1, ""),
		frame(2, 1, 0, 7, "") + frame(2, 2, 0, 8, ""), frame(3, 0, 0, 0, "") + data, frame(3, 0, 0, 3, ""), frame(0, 8, 1, 0, "") + data, "\x01", frame(9, 0, 1, 0, ""), "",
	} {
		f.Add([]byte(sent))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := net.Pipe()
		mux, err := yamux.Client(near, muxConfig(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		s := &Session{child: "n1", mux: mux}
		ended := make(chan error, 1)
		go func() { ended <- s.wait() }()
		go func() {
			defer far.Close()
			if _, err := io.ReadFull(far, make([]byte, 12)); err != nil { // the stream is there: what is sent may be for it
				return
			}
			go io.Copy(io.Discard, far)
			far.Write(sent)
		}()
		open := func(string) (net.Conn, error) { return mux.Open() }
		call(t, &Client{HTTP: &http.Client{Transport: streams{open}}, Base: "http://n1"})
		if err := <-ended; err == nil {
			t.Error("the session has ended without a reason")
		}
	})
}
