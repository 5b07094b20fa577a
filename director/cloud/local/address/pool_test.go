package address_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conpaas/director/cloud/local/address"
)

// TestPool walks at random through takes, releases, restarts and time: an address has one holder, is in the network, is
// kept over restarts, and rests after it was freed.
func TestPool(t *testing.T) {
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(top, fmt.Sprint(n))
		bits := rapid.IntRange(27, 29).Draw(t, "bits")
		prefix := netip.PrefixFrom(netip.MustParseAddr("10.210.255.224"), bits)
		room := 1<<(32-bits) - 3
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		open := func() *address.Pool {
			p, err := address.Open(path, prefix, func() time.Time { return now })
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		pool := open()
		held, freed := map[string]netip.Addr{}, map[netip.Addr]time.Time{}
		token := func() string { return fmt.Sprintf("n%d-1", rapid.IntRange(1, 40).Draw(t, "token")) }
		resting := func() (n int) {
			for _, since := range freed {
				if now.Sub(since) < address.Rest {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				k := token()
				a, err := pool.Take(k)
				if before, ok := held[k]; ok {
					if a != before || err != nil {
						t.Fatalf("%s had %s and now %s, %v", k, before, a, err)
					}
					return
				}
				if full := len(held)+resting() >= room; full != errors.Is(err, address.ErrFull) {
					t.Fatalf("%d held, %d resting of %d: %v", len(held), resting(), room, err)
				}
				if err != nil {
					return
				}
				for other, b := range held {
					if a == b {
						t.Fatalf("%s has the address %s of %s", k, a, other)
					}
				}
				if since, ok := freed[a]; ok && now.Sub(since) < address.Rest {
					t.Fatalf("%s was freed %s ago", a, now.Sub(since))
				}
				if !prefix.Contains(a) || a == prefix.Addr() || a == address.Gateway(prefix) || !prefix.Contains(a.Next()) {
					t.Fatalf("%s is no address for a machine in %s", a, prefix)
				}
				held[k] = a
				delete(freed, a)
			},
			"release": func(t *rapid.T) {
				k := token()
				if err := pool.Release(k); err != nil {
					t.Fatal(err)
				}
				if a, ok := held[k]; ok {
					delete(held, k)
					freed[a] = now
				}
			},
			"restart": func(*rapid.T) { pool = open() },
			"time":    func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second) },
		})
	})
}

// TestReserve: a reservation keeps its address for the machine, also over a failed try, and ends when nobody comes.
func TestReserve(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "addresses"), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p, err := address.Open(path, netip.MustParsePrefix("10.210.0.0/29"), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	get := func(f func(string) (netip.Addr, error), token string) netip.Addr {
		t.Helper()
		a, err := f(token)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := get(p.Reserve, "n1-1")
	get(p.Reserve, "left-1")
	now = now.Add(address.Keep - time.Second)
	if again := get(p.Take, "n1-1"); again != first {
		t.Errorf("reserved was %s, taken is %s", first, again)
	}
	now = now.Add(address.Keep)
	if err := p.Return("n1-1"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(address.Keep - time.Second)
	if again := get(p.Reserve, "n1-1"); again != first {
		t.Errorf("reserved was %s, after a failed try it is %s", first, again)
	}
	// Of the five addresses one is reserved; the one that nobody came for is free.
	for i := range 4 {
		get(p.Take, fmt.Sprint("other-", i))
	}
	if a, err := p.Reserve("more-1"); !errors.Is(err, address.ErrFull) {
		t.Errorf("more is %s, %v", a, err)
	}
	now = now.Add(time.Second)
	get(p.Take, "more-1")
	if a, err := p.Take("n1-1"); !errors.Is(err, address.ErrFull) {
		t.Errorf("the late machine has %s, %v", a, err)
	}
	if err := errors.Join(p.Return("nobody"), p.Release("nobody")); err != nil {
		t.Error(err)
	}
}

// TestSettle: machines keep their addresses whatever the file says; what has no machine is only reserved.
func TestSettle(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "addresses"), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p, err := address.Open(path, netip.MustParsePrefix("10.210.0.0/29"), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	lost, err := p.Take("lost")
	if err != nil {
		t.Fatal(err)
	}
	machine := netip.MustParseAddr("10.210.0.6")
	if err := p.Settle(map[string]netip.Addr{"machine": machine}); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]netip.Addr{"machine": machine, "lost": lost} {
		if got, err := p.Reserve(token); err != nil || got != want {
			t.Errorf("%s has %s, %v; want %s", token, got, err, want)
		}
	}
	now = now.Add(address.Keep)
	for _, token := range []string{"a", "b", "c", "d"} {
		if _, err := p.Take(token); err != nil {
			t.Errorf("%s: %v", token, err)
		}
	}
	if a, err := p.Take("e"); !errors.Is(err, address.ErrFull) {
		t.Errorf("a sixth machine has %s, %v", a, err)
	}
}

// TestOpen refuses wrong networks and another network while addresses are held.
func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses")
	for _, wrong := range []string{"10.0.0.1/16", "10.0.0.0/30", "10.0.0.0/7", "fd00::/64"} {
		if _, err := address.Open(path, netip.MustParsePrefix(wrong), time.Now); err == nil {
			t.Errorf("the network %s is allowed", wrong)
		}
	}
	if _, err := address.Open(path, netip.Prefix{}, time.Now); err == nil {
		t.Error("no network is allowed")
	}
	a, b := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16")
	p, err := address.Open(path, a, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Take("x"); err != nil {
		t.Fatal(err)
	}
	if _, err := address.Open(path, b, time.Now); err == nil {
		t.Error("another network is allowed while an address is held")
	}
	if err := p.Release("x"); err != nil {
		t.Fatal(err)
	}
	if p, err = address.Open(path, b, time.Now); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Take("x"); err != nil || !b.Contains(got) {
		t.Errorf("got %s, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err = address.Open(path, b, time.Now)
	if err != nil {
		t.Fatalf("a broken file keeps the cloud from starting: %v", err)
	}
	if got, err := p.Take("y"); err != nil || !b.Contains(got) {
		t.Errorf("got %s, %v", got, err)
	}
}
