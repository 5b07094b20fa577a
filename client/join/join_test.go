package join

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var discard = slog.New(slog.DiscardHandler)

// quick joins with short pauses and a clock that must not be set.
func quick(ctx context.Context, t *testing.T, b api.Bootstrap, dir string) (api.JoinAnswer, *mtls.Store, error) {
	c := clock{now: time.Now, set: func(time.Time) error {
		t.Error("the clock was set")
		return nil
	}}
	return join(ctx, discard, b, dir, api.JoinRequest{Node: b.Node, Token: b.Token, OverlayKey: "key", BootID: "boot", Version: "1.0", DataPlane: "none"}, c, backoff.NewConstantBackOff(time.Millisecond))
}

func TestJoinOnce(t *testing.T) {
	f := newDirectorServer(t)
	f.busy = 2
	f.StartTLS()
	dir := filepath.Join(t.TempDir(), "state")
	first, store, err := quick(t.Context(), t, f.bootstrap(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := certs.FromCertificate(store.Leaf()); err != nil || id != f.node || first.Parent.Address != "10.1.2.3:5556" {
		t.Errorf("identity %+v, %v, answer %+v", id, err, first)
	}
	if f.requests != 3 {
		t.Errorf("%d requests, want 3", f.requests)
	}
	f.Close() // a second start of the node needs no director
	again, other, err := quick(t.Context(), t, f.bootstrap(), dir)
	if err != nil || !other.Leaf().Equal(store.Leaf()) {
		t.Fatalf("the second start: %v", err)
	}
	if d := cmp.Diff(first, again, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})); d != "" {
		t.Errorf("another answer at the second start:\n%s", d)
	}
	if info, err := os.Stat(filepath.Join(dir, StateFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v, %v", info, err)
	}
}

// A node that dies between the director's answer and its own note goes on with the same key.
func TestJoinAfterALostAnswer(t *testing.T) {
	for _, lost := range []string{StateFile, "all but the key"} {
		f := newDirectorServer(t)
		f.StartTLS()
		dir := t.TempDir()
		_, store, err := quick(t.Context(), t, f.bootstrap(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, StateFile)); err != nil {
			t.Fatal(err)
		}
		if lost != StateFile {
			key, err := store.Key()
			if err != nil {
				t.Fatal(err)
			}
			text, err := certs.KeyPEM(key)
			if err != nil {
				t.Fatal(err)
			}
			tls := filepath.Join(dir, StoreDir)
			if err := errors.Join(os.RemoveAll(tls), os.Mkdir(tls, 0o700), os.WriteFile(filepath.Join(tls, "key.pem"), text, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := quick(t.Context(), t, f.bootstrap(), dir); err != nil {
			t.Errorf("lost %s: %v", lost, err)
		}
	}
}

func TestJoinRefused(t *testing.T) {
	for _, code := range []api.Code{api.CodeForbidden, api.CodeConflict, api.CodeInvalid, api.CodeUnauthenticated, api.CodeNotFound} {
		f := newDirectorServer(t)
		f.refuse = api.Errorf(code, "this machine was given up")
		f.StartTLS()
		dir := t.TempDir()
		_, _, err := quick(t.Context(), t, f.bootstrap(), dir)
		if api.CodeFrom(err) != code || !strings.Contains(err.Error(), "this machine was given up") || !strings.Contains(err.Error(), "n12") {
			t.Errorf("error %v, want the director's %s", err, code)
		}
		if f.requests != 1 {
			t.Errorf("%s: %d requests, want 1", code, f.requests)
		}
		if _, err := os.Stat(filepath.Join(dir, StateFile)); err == nil {
			t.Errorf("%s: it has been remembered as a join", code)
		}
	}
}

// A second machine with the same user-data, as a clone has it, has another key.
func TestJoinWithAUsedToken(t *testing.T) {
	f := newDirectorServer(t)
	f.StartTLS()
	if _, _, err := quick(t.Context(), t, f.bootstrap(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	_, _, err := quick(t.Context(), t, f.bootstrap(), t.TempDir())
	if api.CodeFrom(err) != api.CodeConflict || f.requests != 2 {
		t.Errorf("error %v after %d requests, want a conflict after 2", err, f.requests)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the token is in the error %q", err)
	}
}

func TestJoinWaitsForTheDirector(t *testing.T) {
	f := newDirectorServer(t)
	tries := make(chan struct{}, 1)
	b := f.bootstrap()
	f.Listener.Close()
	log := slog.New(slog.NewTextHandler(onWrite(func() {
		select {
		case tries <- struct{}{}:
		default:
		}
	}), nil))
	type result struct {
		answer api.JoinAnswer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		a, _, err := join(t.Context(), log, b, t.TempDir(), api.JoinRequest{Node: b.Node, Token: b.Token}, clock{now: time.Now}, backoff.NewConstantBackOff(time.Millisecond))
		done <- result{a, err}
	}()
	<-tries // the first try was refused
	l, err := net.Listen("tcp", b.Address)
	if err != nil {
		t.Fatal(err)
	}
	f.Listener = l
	f.StartTLS()
	if r := <-done; r.err != nil || r.answer.Application != 3 {
		t.Errorf("answer %+v, %v", r.answer, r.err)
	}
}

type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return io.Discard.Write(p)
}

func TestJoinEndsWithItsContext(t *testing.T) {
	f := newDirectorServer(t)
	b := f.bootstrap()
	f.Listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(onWrite(cancel), nil))
	_, _, err := join(ctx, log, b, t.TempDir(), api.JoinRequest{Node: b.Node, Token: b.Token}, clock{now: time.Now}, backoff.NewConstantBackOff(time.Hour))
	if !errors.Is(err, context.Canceled) || api.CodeFrom(err) != api.CodeUnavailable || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v, want the end of the context with the last trouble", err)
	}
}

func TestJoinTheWrongDirector(t *testing.T) {
	f, other := newDirectorServer(t), newDirectorServer(t)
	f.StartTLS()
	foreign := f.bootstrap()
	foreign.CA = string(other.authority.CertificatePEM())
	misnamed := f.bootstrap()
	misnamed.Director = "https://other.example.org:5555"
	for name, b := range map[string]api.Bootstrap{"another CA": foreign, "another name": misnamed} {
		_, _, err := quick(t.Context(), t, b, t.TempDir())
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || !strings.Contains(err.Error(), "is not the director of this installation") || !strings.Contains(err.Error(), b.Director) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if f.requests != 0 {
		t.Errorf("the token went out %d times", f.requests)
	}
}

// The director cannot pass a certificate of somebody else to a node.
func TestJoinChecksTheAnswer(t *testing.T) {
	for name, change := range map[string]func(*certs.Identity){
		"another node":        func(i *certs.Identity) { i.Node = "n13" },
		"another role":        func(i *certs.Identity) { i.Role = certs.RoleManager },
		"another deployment":  func(i *certs.Identity) { i.Deployment = "other" },
		"another application": func(i *certs.Identity) { i.Application = "4" },
	} {
		f := newDirectorServer(t)
		change(&f.node)
		f.StartTLS()
		dir := t.TempDir()
		if _, _, err := quick(t.Context(), t, f.bootstrap(), dir); err == nil || !strings.Contains(err.Error(), f.node.String()) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, StoreDir, "node.pem")); err == nil {
			t.Errorf("%s: the certificate was kept", name)
		}
	}
}

func TestJoinDoesNotFollowRedirects(t *testing.T) {
	f := newDirectorServer(t)
	mux := f.Config.Handler
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" { // that is how net/http marks a request that follows a redirect
			mux.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, "/v1/join", http.StatusTemporaryRedirect)
	})
	f.StartTLS()
	b := f.bootstrap()
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(onWrite(cancel), nil)) // the first try has failed
	_, _, err := join(ctx, log, b, t.TempDir(), api.JoinRequest{Node: b.Node, Token: b.Token}, clock{now: time.Now}, backoff.NewConstantBackOff(time.Hour))
	if err == nil || !strings.Contains(err.Error(), "307") || f.requests != 0 {
		t.Errorf("error %v, %d requests", err, f.requests)
	}
}

func TestJoinInAnothersDirectory(t *testing.T) {
	f := newDirectorServer(t)
	f.StartTLS()
	dir := t.TempDir()
	if _, _, err := quick(t.Context(), t, f.bootstrap(), dir); err != nil {
		t.Fatal(err)
	}
	b := f.bootstrap()
	b.Node = "n13"
	if _, _, err := quick(t.Context(), t, b, dir); err == nil || !strings.Contains(err.Error(), "belongs to agent n12") {
		t.Errorf("another node: %v", err)
	}
	b = f.bootstrap()
	if _, _, err := join(t.Context(), discard, b, dir, api.JoinRequest{Node: b.Node, Token: b.Token, OverlayKey: "new"}, clock{now: time.Now}, backoff.NewConstantBackOff(0)); err == nil || !strings.Contains(err.Error(), "overlay key") {
		t.Errorf("another overlay key: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, StoreDir)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := quick(t.Context(), t, f.bootstrap(), dir); err == nil || !strings.Contains(err.Error(), "certificate is gone") {
		t.Errorf("no certificate: %v", err)
	}
	if f.requests != 1 {
		t.Errorf("%d requests, want 1", f.requests)
	}
}

func TestParentAndRenewal(t *testing.T) {
	f := newDirectorServer(t)
	f.StartTLS()
	b := f.bootstrap()
	_, store, err := quick(t.Context(), t, b, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f.parent.Incarnation = 9
	if parent, err := FindParent(t.Context(), b, store); err != nil || parent.Incarnation != 9 {
		t.Errorf("parent %+v, %v", parent, err)
	}
	key, err := store.NextKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := certs.CSR(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, roots, err := renew(b, store)(t.Context(), csr)
	if err != nil {
		t.Fatal(err)
	}
	old := store.Leaf()
	if err := store.Save(cert, roots); err != nil || store.Leaf().Equal(old) {
		t.Errorf("renewal: %v", err)
	}
	stranger, err := mtls.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FindParent(t.Context(), b, stranger); err == nil {
		t.Error("a node that has not joined has a parent")
	}
}
