package command

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"

	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/join"
	"conpaas/client/wire"
	"conpaas/manager/httpapi"
)

const (
	uplinkFirst = 300 * time.Millisecond // pause after the first try that went wrong
	uplinkLast  = 10 * time.Second
	directorTLS = "443" // port of a director's URL without one
)

// target is a way to the director.
type target struct{ address, name string }

// directors gives the ways to the director: as it was said at the join, and as the bootstrap data say.
func (m *manager) directors() []target {
	var list []target
	if p := m.answer.Parent; p.Address != "" && p.ServerName != "" {
		list = append(list, target{p.Address, p.ServerName})
	}
	u, err := url.Parse(m.boot.Director)
	if err != nil {
		return list // it was checked when it was read
	}
	t := target{m.boot.Address, u.Hostname()}
	if t.address == "" {
		port := u.Port()
		if port == "" {
			port = directorTLS
		}
		t.address = net.JoinHostPort(u.Hostname(), port)
	}
	if len(list) == 0 || list[0] != t {
		list = append(list, t)
	}
	return list
}

// connect keeps a connection to the director, on which it calls this manager, until ctx ends.
func (m *manager) connect(ctx context.Context) error {
	handler := httpapi.Director(m.worker, m.guard, m.journal, m.splices, m.log)
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = uplinkFirst, uplinkLast
	ways := m.directors()
	for try := 0; ; try++ {
		to := ways[try%len(ways)]
		config := mtls.ClientConfig(m.store, nil, to.name)
		config.Time = join.Clock(m.boot)
		err := wire.Connect(ctx, wire.Connection{
			Client: config, Address: to.address, ServerName: to.name, Path: "/v1/connect",
			Hello:   api.Hello{Node: m.boot.Node, BootID: m.bootID, Version: daemon.Version},
			Handler: handler, Log: m.log,
			OnUp: func() {
				m.log.Info("connected to the director", "address", to.address)
				pauses.Reset()
				try--
			},
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if api.CodeFrom(err) == api.CodeUnauthenticated {
			m.renewal.Soon()
		}
		pause := pauses.NextBackOff()
		m.log.Warn("no connection to the director; trying again", daemon.KeyError, err, "pause", pause)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// certificate gives what the manager shows to its agents: always the newest.
func (m *manager) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.store.Certificate()
}
