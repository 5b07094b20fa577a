package auth

import (
	"container/list"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// How often somebody may try to log in.
const (
	pairBurst       = 5                // tries of one account from one address at once
	pairInterval    = 15 * time.Second // then one each
	addressBurst    = 50               // tries of any accounts from one address at once
	addressInterval = 2 * time.Second
	rememberedTries = 100_000 // buckets in memory, about 20 MB; the least recently used is forgotten
)

// Limiter brakes the guessing of passwords. It counts per account and address together, and per address; never per account
// alone, so that nobody can lock the owner of an account out by failing from elsewhere. An IPv6 address counts
// as its /64.
type Limiter struct {
	mu      sync.Mutex
	buckets map[bucketKey]*list.Element
	order   *list.List // of *bucket, the least recently used first
	limit   int
}

// bucketKey is an account, by its hash so that long names take no memory, and an address; the zero account is the address alone.
type bucketKey struct {
	account [sha256.Size]byte
	from    netip.Prefix
}

// bucket is full of tries when full has passed; each try moves full by one interval.
type bucket struct {
	key  bucketKey
	full time.Time
}

// NewLimiter gives a Limiter that has seen nothing.
func NewLimiter() *Limiter {
	return &Limiter{buckets: make(map[bucketKey]*list.Element), order: list.New(), limit: rememberedTries}
}

// Try asks whether a login may be tried now, and counts it. When it may not, wait says how long to wait, and nothing is counted.
func (l *Limiter) Try(account string, from netip.Addr) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	pair, address := l.bucket(pairKey(account, from)), l.bucket(bucketKey{from: network(from)})
	wait = max(pair.wait(now, pairBurst, pairInterval), address.wait(now, addressBurst, addressInterval))
	if wait > 0 {
		return wait, false
	}
	pair.take(now, pairInterval)
	address.take(now, addressInterval)
	return 0, true
}

// Succeeded tells that the try was a success: it is not counted, and neither are earlier ones of this account from this address.
func (l *Limiter) Succeeded(account string, from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucket(pairKey(account, from)).full = time.Time{}
	address := l.bucket(bucketKey{from: network(from)})
	address.full = address.full.Add(-addressInterval)
}

func (l *Limiter) bucket(key bucketKey) *bucket {
	if e, ok := l.buckets[key]; ok {
		l.order.MoveToBack(e)
		return e.Value.(*bucket)
	}
	if l.order.Len() >= l.limit {
		oldest := l.order.Front()
		delete(l.buckets, oldest.Value.(*bucket).key)
		l.order.Remove(oldest)
	}
	b := &bucket{key: key}
	l.buckets[key] = l.order.PushBack(b)
	return b
}

// wait tells how long it is until one more try fits.
func (b *bucket) wait(now time.Time, burst int, interval time.Duration) time.Duration {
	if !b.full.After(now) { // also keeps the zero time out of the subtraction, which would overflow
		return 0
	}
	return max(0, b.full.Sub(now)-time.Duration(burst-1)*interval)
}

func (b *bucket) take(now time.Time, interval time.Duration) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(interval)
}

func pairKey(account string, from netip.Addr) bucketKey {
	return bucketKey{account: sha256.Sum256([]byte(account)), from: network(from)}
}

// network is what counts as one address: whoever has an IPv6 address has a whole /64 of them.
func network(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	p, err := from.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all of these count together
	}
	return p
}
