package wire

import (
	"log/slog"
	"net"
	"sync"
	"time"
)

// descriptorShare is the part of a program's descriptors that its connections may take: the rest is for files, databases
// and connections of its own.
const descriptorShare = 0.75

// bounded are listeners that together have only so many connections open. One more is closed as soon as it has come: its
// client sees that at once, and tries again, while those that are there go on.
type bounded struct {
	log    *slog.Logger
	places chan struct{}

	mu    sync.Mutex
	told  time.Time // when refusals were last logged
	count int       // refusals since then
}

func newBounded(log *slog.Logger, most int) *bounded {
	return &bounded{log: log, places: make(chan struct{}, most)}
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
		select {
		case l.places <- struct{}{}:
			return &placed{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			conn.Close()
			l.refused(conn.RemoteAddr())
		}
	}
}

// refused logs refusals, at most once a minute.
func (b *bounded) refused(from net.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	if now := time.Now(); now.Sub(b.told) >= time.Minute {
		b.log.Warn("connections are refused: as many are open as the limit of open files allows", "open", cap(b.places), "refused", b.count, "last", from.String())
		b.told, b.count = now, 0
	}
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Close ends the connection.
func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
