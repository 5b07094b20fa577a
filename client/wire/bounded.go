package wire

import (
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// descriptorShare is the part of a program's descriptors that its connections may take: the rest is for files, databases
	// and connections of its own.
	descriptorShare = 0.75
	// addressShare is the part of the connections that the strangers of one address may take: one of so many.
	addressShare = 4
	// knownMax bounds the connections of one caller that are known to be its.
	knownMax = 256
)

// bounded are listeners that together have only so many connections open.
//
// A connection is a stranger's until a request on it has shown who makes it, by a node's certificate or a user's token.
// The strangers of one address have a share of the places. Where they want one more, their oldest one is closed, and not
// the newest: that may be somebody honest behind the same address, who will be known in a moment. Where all places are
// taken, the address with the most strangers loses its oldest one; only where everybody is known a newcomer is refused.
type bounded struct {
	log         *slog.Logger
	most, share int

	mu        sync.Mutex
	open      int
	strangers map[netip.Prefix]*list.List // of *placed, the oldest first
	known     map[string]int              // connections per caller
	told      time.Time                   // when closed connections were last logged
	closed    int                         // since then
}

func newBounded(log *slog.Logger, most int) *bounded {
	return &bounded{
		log: log, most: most, share: max(most/addressShare, 1), strangers: map[netip.Prefix]*list.List{}, known: map[string]int{},
	}
}

// listener bounds one listener.
func (b *bounded) listener(l net.Listener) net.Listener {
	return &boundedListener{Listener: l, bounded: b}
}

type boundedListener struct {
	net.Listener
	*bounded
}

// Accept waits for a connection that there is a place for.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		placed, victim := l.enter(conn)
		if victim != nil {
			victim.Close()
		}
		if placed != nil {
			return placed, nil
		}
	}
}

// enter gives a connection its place, and which other one is to be closed for it. Where there is no place it is nil, and
// the connection itself is to be closed.
func (b *bounded) enter(conn net.Conn) (*placed, net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := origin(conn)
	var victim *placed
	switch row := b.strangers[from]; {
	case row != nil && row.Len() >= b.share:
		victim = oldest(row)
	case b.open >= b.most:
		if victim = oldest(b.longest()); victim == nil {
			b.tell("as many are open as the limit of open files allows, all of callers that are known", conn)
			return nil, conn
		}
	}
	p := &placed{Conn: conn, bounded: b, from: from}
	if b.strangers[from] == nil {
		b.strangers[from] = list.New()
	}
	p.place = b.strangers[from].PushBack(p)
	b.open++
	if victim == nil {
		return p, nil
	}
	b.tell("too many callers have not shown who they are", victim)
	b.leave(victim)
	return p, victim
}

// oldest is the first of a row of strangers, nil where there is none.
func oldest(row *list.List) *placed {
	if row == nil || row.Len() == 0 {
		return nil
	}
	return row.Front().Value.(*placed)
}

// longest is the row of the address with the most strangers, nil where there are none.
func (b *bounded) longest() (row *list.List) {
	for _, other := range b.strangers {
		if row == nil || other.Len() > row.Len() {
			row = other
		}
	}
	return row
}

// leave frees the place of a connection, once.
func (b *bounded) leave(p *placed) {
	if p.left {
		return
	}
	p.left = true
	b.open--
	b.unrow(p)
	if p.caller != "" {
		if b.known[p.caller]--; b.known[p.caller] == 0 {
			delete(b.known, p.caller)
		}
	}
}

// unrow takes a connection out of the strangers of its address.
func (b *bounded) unrow(p *placed) {
	if p.place == nil {
		return
	}
	row := b.strangers[p.from]
	row.Remove(p.place)
	p.place = nil
	if row.Len() == 0 {
		delete(b.strangers, p.from)
	}
}

// tell logs that connections are closed, at most once a minute.
func (b *bounded) tell(why string, conn net.Conn) {
	b.closed++
	if now := time.Now(); now.Sub(b.told) >= time.Minute {
		b.log.Warn("connections are closed: "+why, "open", b.open, "most", b.most, "share of an address", b.share, "closed", b.closed, "last", conn.RemoteAddr().String())
		b.told, b.closed = now, 0
	}
}

// origin is what a connection's share belongs to: an IPv4 address, or the /64 network that IPv6 gives to every host.
func origin(conn net.Conn) netip.Prefix {
	address, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{} // it does not come from a network
	}
	bits := 64
	ip := address.Addr().Unmap().WithZone("")
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // both fit
	return network
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	bounded *bounded
	from    netip.Prefix

	// Under the lock of bounded.
	place  *list.Element // among the strangers; nil: it is known, or has left
	caller string        // that it is known as
	left   bool
}

// Close ends the connection.
func (p *placed) Close() error {
	p.bounded.mu.Lock()
	p.bounded.leave(p)
	p.bounded.mu.Unlock()
	return p.Conn.Close()
}

// know makes the connection that of a caller, who has shown who it is.
func (p *placed) know(caller string) {
	b := p.bounded
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.place == nil || b.known[caller] >= knownMax {
		return
	}
	b.unrow(p)
	p.caller = caller
	b.known[caller]++
}

type placedKey struct{}

// withPlaced lets the requests of a connection find its place. It is the ConnContext of a server.
func withPlaced(ctx context.Context, conn net.Conn) context.Context {
	for {
		switch c := conn.(type) {
		case *tls.Conn:
			conn = c.NetConn()
		case *peeked:
			conn = c.Conn
		case *placed:
			return context.WithValue(ctx, placedKey{}, c)
		default:
			return ctx
		}
	}
}

// know notes that the connection of a request is that of its caller.
func know(ctx context.Context, caller Caller) {
	if p, ok := ctx.Value(placedKey{}).(*placed); ok && caller.Kind != KindAnonymous {
		p.know(caller.String())
	}
}
