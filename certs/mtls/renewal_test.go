package mtls_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
)

// renewer is the director's half of a renewal.
type renewer struct {
	a     *ca.Authority
	life  time.Duration
	fail  int // calls to fail
	calls chan call
}

// call is one call of a renewer.
type call struct {
	at  time.Time
	key string // the public key
}

func (r *renewer) renew(_ context.Context, csr []byte) (cert, root []byte, err error) {
	key, err := certs.ParseRequest(csr)
	if err != nil {
		return nil, nil, err
	}
	text, err := key.Bytes()
	if err != nil {
		return nil, nil, err
	}
	r.calls <- call{time.Now(), string(text)}
	if r.fail > 0 {
		r.fail--
		return nil, nil, errors.New("the director does not answer")
	}
	out, err := r.a.Issue(ca.Request{Identity: agent, PublicKey: key, NotBefore: time.Now(), NotAfter: time.Now().Add(r.life), Client: true})
	return out.PEM, r.a.CertificatePEM(), err
}

func startRenewal(t *testing.T, r *renewer) *mtls.Store {
	t.Helper()
	r.a, r.calls = newAuthority(t), make(chan call)
	s := joined(t, t.TempDir(), r.a, agent, time.Now(), time.Now().Add(r.life))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		mtls.RunRenewal(ctx, s, slog.New(slog.DiscardHandler), r.renew)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

func TestRenewalAtTwoThirds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: 30 * day}
		last := time.Now()
		s := startRenewal(t, r)
		old, keys := s.Leaf(), map[string]bool{}
		for n := range 3 {
			c := <-r.calls
			synctest.Wait()
			if age := c.at.Sub(last); age < 20*day || age > 22*day+time.Hour {
				t.Fatalf("renewal %d after %s of 30 days", n, age)
			}
			if s.Leaf().Equal(old) || s.Leaf().NotAfter.Before(time.Now().Add(29*day)) {
				t.Fatalf("renewal %d: the old certificate is still there", n)
			}
			last, old, keys[c.key] = c.at, s.Leaf(), true
		}
		if len(keys) != 3 {
			t.Errorf("%d keys in 3 renewals", len(keys))
		}
	})
}

func TestRenewalRetriesPastTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: 30 * day, fail: 400}
		s := startRenewal(t, r)
		end := s.Leaf().NotAfter
		last := (<-r.calls).at
		for n := range 400 {
			at := (<-r.calls).at
			if pause := at.Sub(last); pause < 30*time.Second || pause > 90*time.Minute {
				t.Fatalf("pause %d is %s", n, pause)
			}
			last = at
		}
		synctest.Wait()
		if !time.Now().After(end) || !s.Leaf().NotAfter.After(time.Now()) {
			t.Fatalf("it is %s, the first certificate ended %s, the one in use ends %s", time.Now(), end, s.Leaf().NotAfter)
		}
	})
}

// An authority near its own end issues certificates that are due at once.
func TestRenewalDoesNotRunHot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: time.Second}
		startRenewal(t, r)
		first := (<-r.calls).at
		for range 18 {
			<-r.calls
		}
		if total := (<-r.calls).at.Sub(first); total < 19*time.Second {
			t.Errorf("20 renewals in %s", total)
		}
	})
}

func TestRenewalNeedsACertificate(t *testing.T) {
	mtls.RunRenewal(t.Context(), open(t, t.TempDir()), slog.New(slog.DiscardHandler), nil)
}
