package agenttest

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// gate is the manager's listener: while it is shut, only connections that the director carries come through.
type gate struct {
	net.Listener
	shut     *atomic.Bool
	direct   *atomic.Int64 // connections that came by the manager's own address
	conns    chan net.Conn
	done     chan struct{}
	stopping sync.Once
}

func newGate(l net.Listener, shut *atomic.Bool, direct *atomic.Int64) *gate {
	g := &gate{Listener: l, shut: shut, direct: direct, conns: make(chan net.Conn), done: make(chan struct{})}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if shut.Load() {
				conn.Close()
				continue
			}
			direct.Add(1)
			g.give(conn)
		}
	}()
	return g
}

func (g *gate) give(conn net.Conn) {
	select {
	case g.conns <- conn:
	case <-g.done:
		conn.Close()
	}
}

// Accept waits for a connection of either kind.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case conn := <-g.conns:
		return conn, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

// Close closes the manager's listener.
func (g *gate) Close() error {
	g.stopping.Do(func() { close(g.done) })
	return g.Listener.Close()
}

// Shut makes the manager's own address useless, or of use again, for connections to come.
func (p *Parent) Shut(shut bool) { p.shut.Store(shut) }

// Direct counts the connections that agents have made to the manager's own address.
func (p *Parent) Direct() int { return int(p.direct.Load()) }

// splice is GET /v1/splice.
func (p *Parent) splice(w http.ResponseWriter, r *http.Request) {
	_, err := p.caller(r)
	p.mu.Lock()
	manager := p.manager
	p.mu.Unlock()
	if err == nil && manager == nil {
		err = api.Errorf(api.CodeUnavailable, "there is no manager")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	conn, err := wire.TakeOver(w, r, api.SpliceProtocol)
	if err != nil {
		refuse(w, err)
		return
	}
	manager.tcp.(*gate).give(conn)
}
