// Package helloworld is the manager half of the service that serves one web page per machine.
// It is the template for authors of services.
//
// It is a pure function; everything that touches a machine is in the agent half.
package helloworld

import (
	"encoding/json"
	"net/netip"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// Port is the TCP port of the page, on the node's overlay address and on the outside.
const Port = 8080

// Half plans helloworld services.
type Half struct{}

var _ service.Half = Half{}

// Plan wants exactly the machines of the spec, each with the page. Machines beyond them finish their requests
// before they go. Users reach the service on every machine that serves.
func (Half) Plan(in service.Input) service.Plan {
	count := in.Spec.Nodes[api.HelloworldNode]
	stay, leave := service.Select(in.Nodes, api.HelloworldNode, count)
	p := service.Plan{
		Wanted: map[api.Role]int{api.HelloworldNode: count},
		Nodes:  make(map[api.NodeID]service.Config, len(in.Nodes)),
	}
	for _, n := range stay {
		p.Nodes[n.ID] = page(in, n, false)
		if n.Serving {
			p.Endpoints = append(p.Endpoints, api.Endpoint{Name: "http", Node: n.ID, Port: Port})
		}
	}
	p.Serve = service.Serving(stay)
	p.Remove(in, leave, func(n service.Node) service.Config { return page(in, n, true) })
	p.Judge(in, stay)
	return p
}

func page(in service.Input, n service.Node, drain bool) service.Config {
	// A value of these types always has a JSON form.
	data, _ := json.Marshal(api.HelloworldConfig{
		Greeting: in.Setting("greeting"), Node: n.ID, Listen: netip.AddrPortFrom(n.Overlay, Port), Outside: Port, Drain: drain,
	})
	return service.Config{
		Roles:  []api.RoleSpec{{Role: api.HelloworldNode, Config: data}},
		Expose: []uint16{Port},
	}
}
