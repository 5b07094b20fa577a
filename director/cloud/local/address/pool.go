// Package address gives the machines of a network their addresses, by token and kept on disk.
//
// It knows nothing of machines or interfaces.
package address

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"conpaas/client/daemon"
)

// Rest is how long an address that was freed is not given again, so that nobody takes its new holder for the old one.
const Rest = time.Minute

// Keep is how long an address that was reserved waits for its machine.
const Keep = time.Hour

// ErrFull says that every address is taken or was freed less than Rest ago.
var ErrFull = errors.New("no address is free")

// Pool is the addresses of one network but its first (the network), its second (Gateway) and its last (broadcast).
type Pool struct {
	path string
	now  func() time.Time

	mu    sync.Mutex
	state state
}

type state struct {
	Prefix netip.Prefix             `json:"prefix"`
	Last   netip.Addr               `json:"last"` // given; the search begins after it
	Held   map[string]holding       `json:"held"` // by token
	Freed  map[netip.Addr]time.Time `json:"freed"`
}

type holding struct {
	Address netip.Addr `json:"address"`
	Since   time.Time  `json:"since"`   // reserved
	Machine bool       `json:"machine"` // there is one, so it is held until it is released
}

// Gateway is the first address of a network, which belongs to nobody in the pool.
func Gateway(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }

// Check tells whether a pool can have the prefix: IPv4, without host bits, with room for a machine.
func Check(p netip.Prefix) error {
	if !p.IsValid() || !p.Addr().Is4() || p.Masked() != p || p.Bits() > 29 || p.Bits() < 8 {
		return fmt.Errorf("network %s must be IPv4, from /8 to /29, without host bits, for example 10.210.0.0/16", p)
	}
	return nil
}

// Open reads the pool that is kept in a file, or begins an empty one, also where the file is broken: Settle tells it what
// matters. A kept pool of another prefix is begun anew when
// nobody holds an address of it, else it is an error.
func Open(path string, p netip.Prefix, now func() time.Time) (*Pool, error) {
	if err := Check(p); err != nil {
		return nil, err
	}
	pool := &Pool{path: path, now: now}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the addresses: %w", err)
	}
	if json.Unmarshal(text, &pool.state) != nil {
		pool.state = state{} // lost with the host's power
	}
	if old := pool.state.Prefix; old != p {
		if len(pool.state.Held) > 0 {
			return nil, fmt.Errorf("the network was %s and %d addresses of it are held; set it back, or terminate the machines first", old, len(pool.state.Held))
		}
		pool.state = state{Prefix: p}
	}
	if pool.state.Held == nil {
		pool.state.Held = map[string]holding{}
	}
	if pool.state.Freed == nil {
		pool.state.Freed = map[netip.Addr]time.Time{}
	}
	return pool, nil
}

// Reserve gives the address of a token, the same one at every call, and holds it for some time.
func (p *Pool) Reserve(token string) (netip.Addr, error) { return p.take(token, false) }

// Take gives the address of a token and holds it until it is released.
func (p *Pool) Take(token string) (netip.Addr, error) { return p.take(token, true) }

func (p *Pool) take(token string, machine bool) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, held := p.state.Held[token]
	if held && (before.Machine || !machine) {
		return before.Address, nil
	}
	next := holding{Address: before.Address, Since: p.now().UTC(), Machine: machine}
	last := p.state.Last
	if !held {
		var ok bool
		if next.Address, ok = p.free(); !ok {
			return netip.Addr{}, ErrFull
		}
		p.state.Last = next.Address
	}
	p.state.Held[token] = next
	err := p.save()
	if err == nil {
		return next.Address, nil
	}
	p.state.Held[token], p.state.Last = before, last
	if !held {
		delete(p.state.Held, token)
	}
	return netip.Addr{}, err
}

// Return makes an address that was taken for a machine a reserved one again, for the next try.
func (p *Pool) Return(token string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.state.Held[token]
	if !ok {
		return nil
	}
	p.state.Held[token] = holding{Address: h.Address, Since: p.now().UTC()}
	return p.save()
}

// free finds the next address after the last one given, around the end of the network.
func (p *Pool) free() (netip.Addr, bool) {
	taken := map[netip.Addr]bool{}
	for token, h := range p.state.Held {
		if !h.Machine && p.now().Sub(h.Since) >= Keep {
			delete(p.state.Held, token)
		} else {
			taken[h.Address] = true
		}
	}
	for a, since := range p.state.Freed {
		if p.now().Sub(since) >= Rest {
			delete(p.state.Freed, a)
		} else {
			taken[a] = true
		}
	}
	first := Gateway(p.state.Prefix).Next()
	a := p.state.Last
	for range 1 << (32 - p.state.Prefix.Bits()) {
		if a = a.Next(); !a.IsValid() || !p.state.Prefix.Contains(a.Next()) || a.Less(first) {
			a = first // after the last host comes the first one
		}
		if !taken[a] {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Release frees the address of a token; one that holds none is released already.
func (p *Pool) Release(token string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.state.Held[token]
	if !ok {
		return nil
	}
	delete(p.state.Held, token)
	p.state.Freed[h.Address] = p.now().UTC()
	return p.save()
}

// Settle makes the pool agree with the machines that there are, given as token and address: they hold theirs, and all
// other addresses are at most reserved.
func (p *Pool) Settle(machines map[string]netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for token, h := range p.state.Held {
		h.Machine = false
		p.state.Held[token] = h
	}
	for token, a := range machines {
		p.state.Held[token] = holding{Address: a, Since: p.now().UTC(), Machine: true}
	}
	return p.save()
}

func (p *Pool) save() error {
	text, err := json.Marshal(p.state)
	if err != nil {
		return fmt.Errorf("keep the addresses: %w", err)
	}
	if err := daemon.WriteVolatile(p.path, text, 0o600); err != nil {
		return fmt.Errorf("keep the addresses: %w", err)
	}
	return nil
}
