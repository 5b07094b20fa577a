package hosting

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"conpaas/agent/service"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/haproxy"
	"conpaas/client/api"
)

const (
	haproxyConf = "haproxy.cfg"
	versionMap  = "version.map"
	mapKey      = "serving"
)

// haproxyValues fill haproxy.cfg. The version is not in it: it is switched without a reload, at one moment for
// all connections.
type haproxyValues struct {
	Mark, Socket, Map string
	Listen            netip.AddrPort
	Webs              []api.Server
	Ping              string
}

func (s *Half) applyHAProxy(ctx context.Context, p Site, n service.Node, want api.HostingProxyConfig) error {
	if err := s.reach(ctx, p, haproxy.Name, want.Webs); err != nil {
		return err
	}
	if _, err := p.Host.State().Write(p.Config()+"/"+versionMap, []byte(mapKey+" "+want.Version+"\n"), 0o644); err != nil {
		return err
	}
	text, mark, err := renderHAProxy(p, n, want)
	if err != nil {
		return err
	}
	outcome, err := proxy(p).Apply(ctx, p.Host, text, mark, p.Loaded(haproxy.Name).Mark)
	if outcome != haproxy.Unchanged {
		p.NoteReload(haproxy.Name)
	}
	if err != nil {
		return err
	}
	if outcome != haproxy.Unchanged {
		if err := p.NoteLoaded(haproxy.Name, Loaded{Mark: mark, Servers: nodesOf(want.Webs)}); err != nil {
			return err
		}
	}
	if outcome == haproxy.Started {
		return nil // it has read the version
	}
	return switchVersion(ctx, p, want.Version)
}

// proxy is the HAProxy of this service.
func proxy(p Site) haproxy.Instance {
	return haproxy.Instance{Config: p.Config() + "/" + haproxyConf, Socket: haproxySocket(p), Master: masterSocket(p), Grace: DrainTime}
}

func renderHAProxy(p Site, n service.Node, want api.HostingProxyConfig) (text []byte, mark string, err error) {
	listen := netip.AddrPortFrom(n.Address, want.Port)
	if n.Active {
		// Every address, so that it goes on when the cloud gives the machine another one.
		listen = netip.AddrPortFrom(netip.IPv4Unspecified(), want.Port)
	}
	text, err = Render(files, haproxyConf, haproxyValues{
		Mark: conf.MarkHere, Socket: haproxySocket(p), Map: mapPath(p), Listen: listen, Webs: want.Webs, Ping: PingPath,
	})
	if err != nil {
		return nil, "", err
	}
	text, mark = conf.Marked(text)
	return text, mark, nil
}

func haproxySocket(p Site) string { return p.RunPath("haproxy.sock") }

// masterSocket leads to every worker, also to those that finish what they have.
func masterSocket(p Site) string { return p.RunPath("haproxy-master.sock") }

func mapPath(p Site) string { return p.Path(p.Config() + "/" + versionMap) }

// switchVersion makes the running proxy give requests the version from now on, and the workers of earlier
// configurations too: each of their connections may bring one more request.
func switchVersion(ctx context.Context, p Site, version string) error {
	command := "set map " + mapPath(p) + " " + mapKey + " " + version
	const asked = "asked"
	var serving string
	err := conf.Await(ctx, asked, func(ctx context.Context) (string, error) { // one that was started just now does not answer yet
		var err error
		serving, err = servingVersion(ctx, p)
		return asked, err
	})
	if err == nil && serving != version {
		if _, err := haproxy.Ask(ctx, haproxySocket(p), command); err != nil {
			return err
		}
		serving, err = servingVersion(ctx, p)
	}
	if err != nil {
		return err
	}
	if serving != version {
		return fmt.Errorf("haproxy was told to serve version %s and serves %q", version, serving)
	}
	var workers []string
	// The master does not listen while it begins anew, which it does beside its new worker.
	err = conf.Await(ctx, asked, func(ctx context.Context) (string, error) {
		var err error
		workers, err = oldWorkers(ctx, p)
		return asked, err
	})
	if err != nil {
		return fmt.Errorf("ask for the earlier workers of haproxy: %w", err)
	}
	for _, pid := range workers {
		// One that ends at this moment needs no version any more.
		_, _ = haproxy.Ask(ctx, masterSocket(p), "@!"+pid+" "+command)
	}
	return nil
}

// oldWorkers gives the processes that finish what they have (Management Guide 2.6, 9.4 "show proc").
func oldWorkers(ctx context.Context, p Site) ([]string, error) {
	answer, err := haproxy.Ask(ctx, masterSocket(p), "show proc")
	if err != nil {
		return nil, err
	}
	_, old, _ := strings.Cut(answer, "# old workers\n")
	old, _, _ = strings.Cut(old, "#")
	var pids []string
	for line := range strings.Lines(old) { // 4711 worker 2 0d00h00m08s 2.6.12
		if f := strings.Fields(line); len(f) > 1 && f[1] == "worker" {
			pids = append(pids, f[0])
		}
	}
	return pids, nil
}

// servingVersion asks the running proxy which version it gives requests.
func servingVersion(ctx context.Context, p Site) (string, error) {
	answer, err := haproxy.Ask(ctx, haproxySocket(p), "show map "+mapPath(p))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) { // 0x55d5c48b5a00 serving code-default
		if f := strings.Fields(line); len(f) == 3 && f[1] == mapKey {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("haproxy answers %.200q when it is asked for its version", answer)
}

func nodesOf(servers []api.Server) []api.NodeID {
	var all []api.NodeID
	for _, s := range servers {
		all = append(all, s.Node)
	}
	return all
}
