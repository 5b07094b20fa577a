package command_test

import (
	"bufio"
	"net"
)

// side is a listener that gets its connections from route.
type side struct {
	net.Listener
	conns chan net.Conn
	ended <-chan struct{} // closed when the port is
}

// Accept waits for the next connection of this side.
func (s *side) Accept() (net.Conn, error) {
	select {
	case conn := <-s.conns:
		return conn, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

// split divides the connections of a listener into those that speak TLS and the others.
func split(inner net.Listener) (secure, plain *side) {
	ended := make(chan struct{})
	secure = &side{inner, make(chan net.Conn), ended}
	plain = &side{inner, make(chan net.Conn), ended}
	go func() {
		defer close(ended)
		for {
			conn, err := inner.Accept()
			if err != nil {
				return
			}
			go route(conn, secure, plain)
		}
	}()
	return secure, plain
}

// peeked is a connection whose first byte has been looked at.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

// Read reads the byte that was looked at as well.
func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// route gives a connection to the side that its first byte tells: 22 begins a TLS handshake (RFC 8446, 5.1).
func route(conn net.Conn, secure, plain *side) {
	const handshake = 22
	p := &peeked{Conn: conn, r: bufio.NewReader(conn)}
	first, err := p.r.Peek(1)
	if err != nil {
		_ = conn.Close()
		return
	}
	to := plain
	if first[0] == handshake {
		to = secure
	}
	select {
	case to.conns <- p:
	case <-to.ended:
		_ = conn.Close()
	}
}
