package app

import (
	"context"
	"net/netip"

	"conpaas/client/api"
	"conpaas/director/store"
)

// overlayPort is the UDP port of WireGuard on every machine.
const overlayPort = 51820

// push gives the connection the newest spec.
func (w *worker) push(_ context.Context, s *snapshot, seen observed, _ *deadline) error {
	if seen.node == "" || s.application.Wanted != store.ApplicationRunning {
		return nil
	}
	types := make(map[api.ServiceID]api.ServiceType, len(s.services))
	for _, service := range s.services {
		types[service.ID] = service.Type
	}
	spec := api.ManagerSpec{Application: w.d.applicationSpec(s), Relays: w.d.relays.all(), Trust: w.d.trust.Load().name}
	if m, ok := s.manager(); ok {
		spec.Cloud, spec.Public = m.Cloud, m.Public
	}
	for _, n := range s.nodes {
		if n.IsManager() || !acts(n) {
			continue
		}
		spec.Nodes = append(spec.Nodes, nodeInfo(n, types[n.Service], mounts(n, s.volumes)))
	}
	w.link.want(push{epoch: w.d.epoch(s.application), spec: spec})
	return nil
}

// epoch is that of calls to the application's present manager.
func (d *Director) epoch(a store.Application) api.Epoch {
	return api.Epoch{Fence: d.store.Installation().Fence, Incarnation: a.Incarnation, Revision: a.Revision}
}

func (d *Director) applicationSpec(s *snapshot) api.ApplicationSpec {
	spec := api.ApplicationSpec{
		ID: s.application.ID, Name: s.application.Name, Revision: s.application.Revision, Network: d.network(s.application),
	}
	around := neighbours{application: s.application.Name, services: s.services, environments: s.hosted.environments, secrets: s.hosted.secrets}
	for _, service := range s.services {
		if service.Wanted != store.ServiceStarted {
			continue
		}
		env := around.env(service)
		spec.Services = append(spec.Services, api.ServiceSpec{
			ID: service.ID, Type: service.Type, Name: service.Name, Cloud: service.Cloud,
			Nodes: service.Nodes, Settings: service.Settings,
			Code: codeSpec(service, s.hosted.versions), Command: openCommand(s.operations, service.ID), Secrets: s.hosted.secrets[service.ID],
			Env: env, Startup: startup(s.hosted.scripts[service.ID], env),
		})
	}
	return spec
}

// network is the overlay of an application. It is active when the machines of its cloud have a network of their own.
func (d *Director) network(a store.Application) api.Network {
	p, ok := d.places[a.Cloud]
	return api.Network{Prefix: a.Prefix, ServiceBits: a.ServiceBits, Port: overlayPort, Active: ok && p.overlayActive()}
}

func nodeInfo(n store.Node, t api.ServiceType, volumes []api.VolumeMount) api.NodeInfo {
	info := api.NodeInfo{
		ID: n.ID, Service: n.Service, Type: t, Role: n.Role, State: n.State, Cloud: n.Cloud, Overlay: n.Overlay, Key: n.OverlayKey,
		Public: n.Public, Volumes: volumes,
	}
	if n.Address.IsValid() {
		info.Address = n.Address.String()
		info.Endpoint = netip.AddrPortFrom(n.Address, overlayPort)
	}
	return info
}
