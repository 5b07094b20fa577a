package directortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/join"
	"conpaas/client/wire"
	"conpaas/director/cloud"
	"conpaas/vpn/wg"
)

// machine is one goroutine that does what a machine's first boot and its daemon do.
type machine struct {
	cloud    *Cloud
	id       cloud.MachineID
	token    string
	image    cloud.ImageID // that it was launched from; "": the cloud's own
	node     api.NodeID
	join     api.Secret
	address  netip.Addr
	launched time.Time
	joined   atomic.Bool
	renewal  atomic.Pointer[mtls.Renewal] // nil until it has joined
	refused  atomic.Int64                 // connections that the director has not taken
	cancel   context.CancelFunc
	work     sync.WaitGroup
}

func (m *machine) describe() cloud.Machine {
	return cloud.Machine{ID: m.id, Token: m.token, State: cloud.StateRunning, Address: m.address, Launched: m.launched, Runtime: "memory"}
}

// start reads the bootstrap document out of the user-data, as the shell would write it, and runs the machine.
func (m *machine) start(userData []byte) error {
	_, rest, ok := strings.Cut(string(userData), `printf '%s,"listen":"%s"}\n' '`)
	document, _, ends := strings.Cut(rest, `' "${CONPAAS_LISTEN:-}"`)
	if !ok || !ends {
		return errors.New("the user-data has no bootstrap document")
	}
	var b api.Bootstrap
	if err := json.Unmarshal([]byte(strings.ReplaceAll(document, `'\''`, `'`)+"}"), &b); err != nil {
		return fmt.Errorf("bootstrap document: %w", err)
	}
	m.node, m.join = b.Node, b.Token
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.work.Go(func() {
		for ctx.Err() == nil {
			m.live(ctx, b)
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return nil
}

func (m *machine) stop() {
	m.cancel()
	m.work.Wait()
}

// live joins and, for a manager, stays connected until the director goes away.
func (m *machine) live(ctx context.Context, b api.Bootstrap) {
	dir, err := os.MkdirTemp("", "conpaas-machine-")
	if err != nil {
		return
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.DiscardHandler)
	_, public, err := wg.NewKey()
	if err != nil {
		return
	}
	answer, certificates, err := join.Join(ctx, log, b, dir, string(m.id), "test", "userspace", api.OverlayKey(public))
	if err != nil {
		return
	}
	renewal := join.Renewal(log, b, certificates)
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { renewal.Run(ctx) })
	m.renewal.Store(renewal)
	m.joined.Store(true)
	if b.Kind == api.KindAgent {
		<-ctx.Done()
		return
	}
	manager := newManager(m.cloud, b.Node)
	for ctx.Err() == nil {
		err := wire.Connect(ctx, wire.Connection{
			Client: mtls.ClientConfig(certificates, nil, answer.Parent.ServerName), Address: answer.Parent.Address,
			ServerName: answer.Parent.ServerName, Path: "/v1/connect", Handler: manager, Log: log,
			Hello: api.Hello{Node: b.Node, BootID: string(m.id), Version: "test"},
		})
		if code := api.CodeFrom(err); code == api.CodeForbidden || code == api.CodeUnauthenticated {
			m.refused.Add(1)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
