package auth

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	attacker = netip.MustParseAddr("203.0.113.7")
	home     = netip.MustParseAddr("198.51.100.4")
)

// tries counts how many logins may be tried in a row.
func tries(l *Limiter, account string, from netip.Addr) (n int) {
	for range 1000 {
		if _, ok := l.Try(account, from); !ok {
			break
		}
		n++
	}
	return n
}

func TestGuessingIsBraked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		if n := tries(l, "alice", attacker); n != pairBurst {
			t.Errorf("%d tries at once, want %d", n, pairBurst)
		}
		wait, ok := l.Try("alice", attacker)
		if ok || wait != pairInterval {
			t.Errorf("then wait %v, want %v", wait, pairInterval)
		}
		time.Sleep(wait - time.Nanosecond)
		if _, ok := l.Try("alice", attacker); ok {
			t.Error("a try before the wait is over")
		}
		time.Sleep(time.Nanosecond)
		if n := tries(l, "alice", attacker); n != 1 {
			t.Errorf("%d tries after the wait, want 1", n)
		}
		time.Sleep(time.Hour)
		if n := tries(l, "alice", attacker); n != pairBurst {
			t.Errorf("%d tries after an hour, want %d", n, pairBurst)
		}
	})
}

func TestOwnerIsNotLockedOut(t *testing.T) {
	l := NewLimiter()
	for i := range 2000 {
		tries(l, "alice", netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}))
	}
	for range 100 {
		if wait, ok := l.Try("alice", home); !ok {
			t.Fatalf("the owner has to wait %v", wait)
		}
		l.Succeeded("alice", home)
	}
}

func TestSuccessForgetsFailures(t *testing.T) {
	l := NewLimiter()
	for range pairBurst - 1 {
		l.Try("alice", home)
	}
	l.Try("alice", home)
	l.Succeeded("alice", home)
	if n := tries(l, "alice", home); n != pairBurst {
		t.Errorf("%d tries after a success, want %d", n, pairBurst)
	}
}

// Own successes give no room to guess at others' accounts.
func TestSprayingIsBraked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		guesses := 0
		for i := range 1000 {
			if _, ok := l.Try(fmt.Sprintf("user%d", i), attacker); ok {
				guesses++
			}
			if _, ok := l.Try("mallory", attacker); ok {
				l.Succeeded("mallory", attacker)
			}
		}
		if guesses != addressBurst {
			t.Errorf("%d accounts were tried from one address, want %d", guesses, addressBurst)
		}
	})
}

func TestAddressesThatCountTogether(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		a, b := network(netip.MustParseAddr(test.a)), network(netip.MustParseAddr(test.b))
		if (a == b) != test.same {
			t.Errorf("%s counts as %s, %s as %s", test.a, a, test.b, b)
		}
	}
	l := NewLimiter()
	if n := tries(l, "alice", netip.Addr{}); n != pairBurst {
		t.Errorf("without an address: %d tries", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l := NewLimiter()
	l.limit = 10
	tries(l, "alice", attacker)
	for i := range 100 {
		l.Try(fmt.Sprint(i), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
		if _, ok := l.Try("alice", attacker); ok {
			t.Fatal("a bucket in use was forgotten")
		}
	}
	if len(l.buckets) != 10 || l.order.Len() != 10 {
		t.Errorf("%d buckets, %d in order, want 10", len(l.buckets), l.order.Len())
	}
}

func TestParallelTriesAreAllCounted(t *testing.T) {
	l := NewLimiter()
	var passed atomic.Int32
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if _, ok := l.Try("alice", attacker); ok {
				passed.Add(1)
			}
		})
	}
	wait.Wait()
	if got := passed.Load(); got != pairBurst {
		t.Errorf("%d parallel tries passed, want %d", got, pairBurst)
	}
}
