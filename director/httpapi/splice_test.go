package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// splice has the director carry a connection of a caller.
func (w *world) splice(ctx context.Context, caller string) (net.Conn, error) {
	c := wire.Client{HTTP: w.callers[caller].client, Base: w.URL}
	return c.Upgrade(ctx, api.SplicePath, api.SpliceProtocol)
}

// echo sends a word and reads it back.
func echo(conn net.Conn, word string) error {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(word)); err != nil {
		return err
	}
	back := make([]byte, len(word))
	if _, err := io.ReadFull(conn, back); err != nil {
		return err
	}
	if string(back) != word {
		return fmt.Errorf("%q came back as %q", word, back)
	}
	return nil
}

// ended tells whether the other end has ended a connection.
func ended(t *testing.T, conn net.Conn) bool {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

func isTimeout(err error) bool {
	late, ok := errors.AsType[net.Error](err)
	return ok && late.Timeout()
}

// The director carries the bytes of an agent to the manager of its application, shows it, keeps the newest connection of
// an agent, and ends it when the agent's node goes.
func TestSplice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := app.Actor{ID: 2, Name: "owner"}
	for caller, want := range map[string]api.Code{
		"misplaced": api.CodeNotFound, "gone": api.CodeForbidden, "manager": api.CodeForbidden, "expired": api.CodeUnauthenticated,
		"revoked": api.CodeUnauthenticated, "otherca": api.CodeUnauthenticated, "anonymous": api.CodeUnauthenticated, "owner": api.CodeUnauthenticated,
	} {
		if conn, err := w.splice(t.Context(), caller); api.CodeFrom(err) != want {
			t.Errorf("%s gets %v, %v; want %s", caller, conn, err, want)
		}
	}
	first, err := w.splice(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := echo(first, "hello"); err != nil {
		t.Fatal(err)
	}
	network, err := w.Network(t.Context(), owner, "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := api.PeerStatus{Peer: ownManager, Path: api.PathSpliced, Relay: "director", Sent: 5, Received: 5}
	for _, n := range network.Nodes {
		if n.Node == ownAgent && (len(n.Peers) != 1 || n.Peers[0] != want) {
			t.Errorf("the network shows %+v, want %+v", n.Peers, want)
		}
	}
	second, err := w.splice(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if !ended(t, first) {
		t.Error("the first connection goes on beside the second")
	}
	if err := echo(second, "again"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.StopService(t.Context(), owner, "shop", "hello"); err != nil {
		t.Fatal(err)
	}
	if !ended(t, second) {
		t.Error("the connection of a node that is removed goes on")
	}
	directortest.Await(t, 10*time.Second, "nothing is carried any more", func() error {
		conn, err := w.splice(t.Context(), "agent")
		if err == nil {
			conn.Close()
			return errors.New("the agent of a removed node is carried")
		}
		return nil
	})
}
