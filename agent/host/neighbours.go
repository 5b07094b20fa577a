package host

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bounds of watching neighbours.
const (
	askEvery   = 500 * time.Millisecond // between two rounds of questions
	askTime    = time.Second            // for one answer
	askAtOnce  = 64                     // questions under way
	silentTime = 3 * time.Second        // a neighbour without an answer for so long is lost
	lostRounds = 3                      // and for so many questions, should this machine itself have stood still
	leaveTime  = 10 * time.Minute       // one that is not used any more is watched for so long: programs finish what they have
	askedPort  = 1                      // where nothing listens: the kernel itself answers that it does not
)

// Neighbours watches the machines that programs of this one talk to. A machine that is lost says nothing, not even that
// it is gone, and a program that waits for its answer would go on waiting. Here the kernel of each neighbour is asked now and
// then; when it answers no more, every connection with it is ended.
type Neighbours struct {
	log *slog.Logger

	mu   sync.Mutex
	all  map[netip.Addr]*neighbour
	stop context.CancelFunc // nil while nothing is watched
	done chan struct{}
}

// neighbour is one machine under watch.
type neighbour struct {
	lost   func(context.Context) // nil: nothing beyond the connections
	until  time.Time             // when it need not be watched any more; zero: no end
	silent time.Time             // since when it has not answered; zero: it has
	rounds int                   // questions since then
}

// Watch says which machines are neighbours now. After the connections with one were ended its function is called, in
// a goroutine of the watch, and again every few seconds while it stays lost; nil is for nothing more. Those that are not
// among them any more are watched a while longer.
func (n *Neighbours) Watch(all map[netip.Addr]func(context.Context)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, lost := range all {
		if n.all[addr] == nil {
			n.all[addr] = &neighbour{}
		}
		n.all[addr].lost, n.all[addr].until = lost, time.Time{}
	}
	for addr, old := range n.all {
		if _, still := all[addr]; !still && old.until.IsZero() {
			old.until = time.Now().Add(leaveTime)
		}
	}
	if n.stop == nil && len(n.all) > 0 {
		ctx, stop := context.WithCancel(context.Background())
		n.stop, n.done = stop, make(chan struct{})
		go n.run(ctx, n.done)
	}
}

// close ends the watching and waits for that.
func (n *Neighbours) close() {
	n.mu.Lock()
	stop, done := n.stop, n.done
	n.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

func (n *Neighbours) run(ctx context.Context, done chan struct{}) {
	defer close(done)
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		var round errgroup.Group
		round.SetLimit(askAtOnce)
		for _, addr := range n.due() {
			round.Go(func() error {
				n.heard(ctx, addr, answering(ctx, addr))
				return nil
			})
		}
		_ = round.Wait() // none gives an error
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// due gives the neighbours, and forgets those whose time is over.
func (n *Neighbours) due() (all []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, v := range n.all {
		if !v.until.IsZero() && time.Now().After(v.until) {
			delete(n.all, addr)
			continue
		}
		all = append(all, addr)
	}
	return all
}

// heard notes whether a neighbour has answered, and does what is to be done when it is lost.
func (n *Neighbours) heard(ctx context.Context, addr netip.Addr, answered bool) {
	if ctx.Err() != nil || !n.note(addr, answered) {
		return
	}
	ended, err := EndConnections(addr)
	if ended > 0 || err != nil {
		n.log.Warn("a machine does not answer: connections with it are ended", "address", addr, "ended", ended, "err", err)
	}
	n.mu.Lock()
	v := n.all[addr]
	n.mu.Unlock()
	if v != nil && v.lost != nil {
		v.lost(ctx)
	}
}

// note tells whether a neighbour counts as lost now; each silentTime anew.
func (n *Neighbours) note(addr netip.Addr, answered bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.all[addr]
	switch {
	case v == nil:
		return false
	case answered:
		v.silent, v.rounds = time.Time{}, 0
		return false
	case v.silent.IsZero():
		v.silent = time.Now()
	}
	v.rounds++
	if v.rounds < lostRounds || time.Since(v.silent) < silentTime {
		return false
	}
	v.silent, v.rounds = time.Time{}, 0
	return true
}

// answering asks the kernel of a machine; to be refused is an answer.
func answering(ctx context.Context, addr netip.Addr) bool {
	dialer := net.Dialer{Timeout: askTime, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp4", netip.AddrPortFrom(addr, askedPort).String())
	if err == nil {
		conn.Close()
	}
	return err == nil || errors.Is(err, syscall.ECONNREFUSED)
}
