package wire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// transfers serves a route of streams over the tunnel and over TLS, and has test call either.
func transfers(t *testing.T, told bool, handle func(w http.ResponseWriter, r *http.Request, path func(string) string) error, test func(t *testing.T, c *Client)) {
	t.Helper()
	p := newParent(t)
	a := p.api(func(*http.Request) (Caller, error) { return Caller{Kind: KindManager}, nil })
	a.Raw(Route{Method: "POST", Path: "/v1/act", ID: "act", MaxBody: 1 << 40, Body: Bytes{}, Idle: time.Minute, Told: told, Query: []Query{QueryOthers("params", "")}}, anyone, handle)
	p.connect("n1", "A", a.Handler())
	for name, c := range map[string]*Client{"tunnel": p.hub.Client("n1"), "TLS": p.client(p.serve(a.Handler()))} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

// blocked is a body of which no more comes after its first bytes, until it is closed.
type blocked struct {
	first  io.Reader
	closed chan struct{}
}

func newBlocked(first string) *blocked {
	return &blocked{first: strings.NewReader(first), closed: make(chan struct{})}
}

func (b *blocked) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	<-b.closed
	return 0, errors.New("closed")
}

func (b *blocked) Close() error {
	select {
	case <-b.closed:
	default:
		close(b.closed)
	}
	return nil
}

// Body and answer go on beside each other, more of either than any buffer holds.
func TestTransferBothWays(t *testing.T) {
	const size = 48 << 20
	transfers(t, false, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		_, err := io.Copy(NewOutput(w), r.Body)
		return err
	}, func(t *testing.T, c *Client) {
		sent, got := sha256.New(), sha256.New()
		answer, err := Transfer(t.Context(), c, "POST", "/v1/act?a=b", io.TeeReader(io.LimitReader(zeroes{}, size), sent))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Close()
		if n, err := io.Copy(got, answer); err != nil || n != size || string(got.Sum(nil)) != string(sent.Sum(nil)) {
			t.Errorf("%d of %d bytes came back, %v", n, size, err)
		}
	})
}

// What goes wrong behind the first byte is told where it is asked for, and else shows by an answer that breaks off.
func TestTransferOfAnErrorBehindTheFirstByte(t *testing.T) {
	for _, told := range []bool{true, false} {
		transfers(t, told, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			if _, err := io.WriteString(NewOutput(w), "some"); err != nil {
				return err
			}
			return api.Errorf(api.CodeConflict, "table %s is broken\n", strings.Repeat("é", 5000))
		}, func(t *testing.T, c *Client) {
			answer, err := Transfer(t.Context(), c, "POST", "/v1/act", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Close()
			text, err := io.ReadAll(answer)
			if string(text) != "some" || err == nil {
				t.Errorf("told %t: the answer is %q, %v", told, text, err)
			}
			if told && (api.CodeFrom(err) != api.CodeConflict || !strings.HasPrefix(err.Error(), "table éé")) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// An answer that comes before the body is read ends the call, though no more of the body comes.
func TestTransferAnsweredEarly(t *testing.T) {
	transfers(t, true, func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
		if r.URL.Query().Get("skip") == "" {
			return api.Errorf(api.CodeConflict, "not now")
		}
		w.Header().Set(api.HeaderSkipped, "it is there")
		NewOutput(w).End()
		return nil
	}, func(t *testing.T, c *Client) {
		body := newBlocked("begin")
		if _, err := Transfer(t.Context(), c, "POST", "/v1/act", body); api.CodeFrom(err) != api.CodeConflict {
			t.Errorf("refused: %v", err)
		}
		<-body.closed
		body = newBlocked("begin")
		answer, err := Transfer(t.Context(), c, "POST", "/v1/act?skip=1", body)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Close()
		if text, err := io.ReadAll(answer); err != nil || len(text) > 0 || answer.Header.Get(api.HeaderSkipped) != "it is there" {
			t.Errorf("skipped: %q, %v, %v", text, err, answer.Header)
		}
		<-body.closed
	})
}

// A body that breaks off never looks complete, and who has sent it is told what the handler says of it.
func TestTransferOfABodyThatBreaksOff(t *testing.T) {
	read := make(chan error, 1)
	transfers(t, true, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
		return err
	}, func(t *testing.T, c *Client) {
		torn := io.MultiReader(io.LimitReader(zeroes{}, 5<<20), broken{errors.New("the disk is gone")})
		if _, err := Transfer(t.Context(), c, "POST", "/v1/act", torn); err == nil {
			t.Error("half a body was taken for a whole one")
		}
		if err := <-read; err == nil {
			t.Error("the handler has read half a body to its end")
		}
	})
}

// broken is a reader that fails.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// The end of the caller's context ends the reading of the handler, and its writing.
func TestTransferEndsWithItsContext(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	transfers(t, true, func(w http.ResponseWriter, r *http.Request, _ func(string) string) error {
		begun <- struct{}{}
		var err error
		if r.ContentLength == 0 {
			_, err = io.Copy(NewOutput(w), zeroes{})
		} else {
			_, err = io.Copy(io.Discard, r.Body)
		}
		ended <- err
		return err
	}, func(t *testing.T, c *Client) {
		for _, body := range []io.Reader{newBlocked("begin"), nil} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				answer, err := Transfer(ctx, c, "POST", "/v1/act", body)
				if err == nil {
					_, err = io.Copy(io.Discard, answer)
					answer.Close()
				}
				done <- err
			}()
			<-begun
			cancel()
			if err := <-ended; err == nil {
				t.Error("the handler has come to a good end")
			}
			if err := <-done; err == nil {
				t.Error("the caller has come to a good end")
			}
		}
	})
}

// A handler may leave a body unread for longer than bodies may take, and only a caller of which nothing comes is given up.
func TestIdleBodies(t *testing.T) {
	d := &deadlines{}
	control := http.NewResponseController(d)
	body := &idleBody{body: strings.NewReader("text"), control: control, idle: time.Hour}
	text, err := io.ReadAll(body)
	if string(text) != "text" || err != nil || !d.read.IsZero() {
		t.Errorf("%q, %v, and the deadline is %v", text, err, d.read)
	}
	if err := errors.Join(body.Close(), body.Close()); err != nil || !d.read.IsZero() {
		t.Errorf("closed behind its end it has the deadline %v, %v", d.read, err)
	}
	body = &idleBody{body: broken{fmt.Errorf("i/o timeout")}, control: control, idle: 1}
	if _, err := body.Read(nil); api.CodeFrom(err) != api.CodeTimeout {
		t.Errorf("nothing came: %v", err)
	}
	if err := body.Close(); err != nil || d.read.IsZero() {
		t.Errorf("closed before its end it has no deadline, %v", err)
	}
	if _, err := body.Read(nil); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after Close: %v", err)
	}
}
