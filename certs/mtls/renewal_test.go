package mtls_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync/atomic"
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
	fail  int           // calls to fail
	begin time.Duration // the beginning of certificates, before now
	more  []byte        // authorities that are trusted beside a, PEM
	clock func() time.Time
	calls chan call

	*mtls.Renewal
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
	now := time.Now()
	out, err := r.a.Issue(ca.Request{Identity: agent, PublicKey: key, NotBefore: now.Add(-r.begin), NotAfter: now.Add(r.life), Client: true})
	return out.PEM, append(r.a.CertificatePEM(), r.more...), err
}

func startRenewal(t *testing.T, r *renewer) *mtls.Store {
	t.Helper()
	r.a, r.calls = newAuthority(t), make(chan call)
	s := joined(t, t.TempDir(), r.a, agent, time.Now().Add(-r.begin), time.Now().Add(r.life))
	if r.clock == nil {
		r.clock = time.Now
	}
	r.Renewal = mtls.NewRenewal(s, slog.New(slog.DiscardHandler), r.clock, r.renew)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
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

// The beginning of a certificate may lie far in the past, for machines with late clocks: its life is counted from when it came.
func TestLifeIsCountedFromTheIssue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: time.Minute, begin: day}
		last := time.Now()
		startRenewal(t, r)
		for n := range 3 {
			at := (<-r.calls).at
			if age := at.Sub(last); age < 40*time.Second || age > 44*time.Second {
				t.Fatalf("renewal %d after %s of a minute", n, age)
			}
			last = at
		}
	})
}

// A machine whose clock stands in 1970 renews as all others do: its clock counts from the issue of its bootstrap data.
func TestRenewalWithALateClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boot := time.Now()
		r := &renewer{life: 30 * day, clock: func() time.Time { return boot.Add(-5 * day).Add(time.Since(boot)) }}
		startRenewal(t, r)
		if age := (<-r.calls).at.Sub(boot); age < 20*day || age > 26*day {
			t.Errorf("renewed after %s of 30 days", age)
		}
	})
}

// A clock that is set forward by a day is noticed within the hour.
func TestRenewalAfterAJumpOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jump atomic.Int64
		r := &renewer{life: 30 * time.Hour, clock: func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }}
		startRenewal(t, r)
		time.Sleep(90 * time.Minute)
		jump.Store(int64(day))
		before := time.Now()
		if waited := (<-r.calls).at.Sub(before); waited > time.Hour {
			t.Errorf("renewed %s after the jump", waited)
		}
	})
}

func TestRenewalWhenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: 30 * day, fail: 12}
		startRenewal(t, r)
		for range 12 {
			<-r.calls // the pauses grow to an hour
		}
		synctest.Wait()
		before := time.Now()
		r.Soon()
		if waited := (<-r.calls).at.Sub(before); waited > 0 {
			t.Errorf("in a pause between tries: after %s", waited)
		}
		synctest.Wait()
		time.Sleep(day)
		before = time.Now()
		r.Soon()
		if waited := (<-r.calls).at.Sub(before); waited > 0 {
			t.Errorf("with a fresh certificate: after %s", waited)
		}
	})
}

// A rotation of the CA: another name of what is trusted is wanted, and renewals bring it about.
func TestRenewalWhenWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: 30 * day}
		s := startRenewal(t, r)
		time.Sleep(day)
		r.Want(s.Trust()) // it has that: nothing is to be done
		next := newAuthority(t)
		for _, step := range []struct {
			name   string
			signer *ca.Authority
			more   []*x509.Certificate
		}{
			{"both are trusted", r.a, []*x509.Certificate{next.Certificate()}},
			{"the new one signs", next, []*x509.Certificate{r.a.Certificate()}},
			{"the old one is retired", next, nil},
		} {
			r.a, r.more = step.signer, certs.CertificatePEM(step.more...)
			want := certs.TrustName(r.a.Certificate().SubjectKeyId, append(step.more, r.a.Certificate()))
			before := time.Now()
			r.Want(want)
			if waited := (<-r.calls).at.Sub(before); waited > 2*time.Minute {
				t.Errorf("%s: renewed after %s", step.name, waited)
			}
			synctest.Wait()
			if s.Trust() != want {
				t.Errorf("%s: it has %s, want %s", step.name, s.Trust(), want)
			}
		}
	})
}

// A wish that no renewal fulfils, since it is of a manager that knows an old spec, is not asked of the director again and again.
func TestAStaleWishDoesNotRunHot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: 30 * day}
		startRenewal(t, r)
		begin, calls := time.Now(), 0
		r.Want("what there was before")
		for time.Since(begin) < day {
			<-r.calls
			calls++
		}
		if calls > 40 {
			t.Errorf("%d renewals in a day", calls)
		}
	})
}

// A node that is refused whatever it shows does not ask again and again either.
func TestRefusalsDoNotRunHot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewer{life: 30 * day}
		startRenewal(t, r)
		begin, calls := time.Now(), 0
		for time.Since(begin) < day {
			r.Soon()
			select {
			case <-r.calls:
				calls++
			case <-time.After(5 * time.Second):
			}
		}
		if calls < 2 || calls > 40 {
			t.Errorf("%d renewals in a day", calls)
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
	mtls.NewRenewal(open(t, t.TempDir()), slog.New(slog.DiscardHandler), time.Now, nil).Run(t.Context())
}
