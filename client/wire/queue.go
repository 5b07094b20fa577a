package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"
)

// tunnelProtocol is what the greeting of a connection that is to become a tunnel offers beside HTTP/1.1. No server chooses
// it: it tells machines, of which thousands come at once when their parent begins anew, from people who wait for a page.
const tunnelProtocol = "conpaas-tunnel"

const (
	handshakesAtOnce = 4                     // of tunnels, for each processor
	handshakeShare   = 20 * time.Millisecond // that one of them may keep its place: who stalls holds up nobody for long
	queueTime        = 8 * time.Second       // that one waits for its place; the limit for the whole handshake is headerTime
)

// queued gives a configuration with which only so many handshakes of tunnels are computed at once. The others wait without
// costing anything, and the processors have time for the requests of everybody else.
func queued(config *tls.Config, atOnce int, share time.Duration) *tls.Config {
	places := make(chan struct{}, atOnce)
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Contains(hello.SupportedProtos, tunnelProtocol) {
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(hello.Context(), queueTime)
		defer cancel()
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil, errors.New("too many machines connect at once; try again")
		}
		leave := sync.OnceFunc(func() { <-places })
		time.AfterFunc(share, leave)
		context.AfterFunc(hello.Context(), leave) // the handshake has ended
		return nil, nil
	}
	return config
}
