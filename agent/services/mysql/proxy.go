package mysql

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

// takenFile has the mark of the configuration that HAProxy was last seen to take over.
const takenFile = proxyDir + "/taken"

// proxyValues fill haproxy.cfg.
type proxyValues struct {
	Mark, Socket string
	Listen       netip.AddrPort
	Check        uint16
	Servers      []api.Server
	Spread       bool
}

// instance is the HAProxy of this service.
func instance(h *host.Host) haproxy.Instance {
	return haproxy.Instance{
		Config: configDir + "/" + proxyConf, Socket: h.Run().Path(proxyDir + "/haproxy.sock"), Master: h.Run().Path(proxyDir + "/master.sock"), Grace: drainTime,
	}
}

func renderProxy(h *host.Host, want api.MySQLProxyConfig) (text []byte, mark string, err error) {
	text, err = render(proxyConf, proxyValues{
		Mark: conf.MarkHere, Socket: instance(h).Socket, Listen: want.Listen, Check: want.Check, Servers: want.Servers, Spread: want.Spread,
	})
	if err != nil {
		return nil, "", err
	}
	text, mark = conf.Marked(text)
	return text, mark, nil
}

func (s *Half) applyProxy(ctx context.Context, h *host.Host, _ paths, want api.MySQLProxyConfig) error {
	text, mark, err := renderProxy(h, want)
	if err != nil {
		return err
	}
	taken, err := h.Run().Read(takenFile, 1<<10)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	outcome, err := instance(h).Apply(ctx, h, text, mark, strings.TrimSpace(string(taken)))
	if outcome == haproxy.Unchanged {
		return err
	}
	s.reloaded = time.Now()
	if err != nil {
		return err
	}
	_, err = h.Run().Write(takenFile, []byte(mark), 0o644)
	return err
}

// proxyTrouble tells what is wrong with HAProxy, nil for nothing. One that was started has to see a server that can be used first;
// later it is no fault of its own that there is none.
func (s *Half) proxyTrouble(ctx context.Context, h *host.Host, want api.MySQLProxyConfig, pid int) error {
	_, mark, err := renderProxy(h, want)
	if err != nil {
		return err
	}
	now, err := instance(h).Mark(ctx)
	if err == nil && now != mark {
		err = errors.New("haproxy has not taken over its configuration yet")
	}
	if err != nil || s.served == pid {
		return err
	}
	answer, err := haproxy.Ask(ctx, instance(h).Socket, "show stat")
	if err != nil {
		return err
	}
	// servers,n2,…: the 37th is what its last check has said. HAProxy calls a server up before it has asked it.
	for line := range strings.Lines(answer) {
		if f := strings.Split(line, ","); len(f) > 36 && f[0] == "servers" && strings.Contains(f[36], "L7OK") {
			s.served = pid
			return nil
		}
	}
	return errNoServer
}

// errNoServer is of an HAProxy that may do its work when there is a database.
var errNoServer = errors.New("no database can be used yet")
