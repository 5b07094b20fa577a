package api

import "net/netip"

// Helloworld is the type of the service that serves one web page per machine.
const Helloworld ServiceType = "helloworld"

// HelloworldNode is the only role of a helloworld service.
const HelloworldNode Role = "node"

// HelloworldConfig is the RoleSpec.Config of role "node" of a helloworld service: what the manager half
// tells the agent half.
type HelloworldConfig struct {
	Greeting string         `json:"greeting" doc:"Text of the page, at most 4096 bytes"`
	Node     NodeID         `json:"node" doc:"Shown on the page"`
	Listen   netip.AddrPort `json:"listen" doc:"The node's overlay address and the port there; where the network is not active the agent takes its machine's address instead"`
	Outside  uint16         `json:"outside,omitempty" doc:"TCP port on every address of the machine, to be in NodeSpec.Expose as well; 0: none"`
	Drain    bool           `json:"drain,omitempty" doc:"Finish the requests in flight, accept no new ones and report drained"`
}

// HelloworldFacts is the RoleStatus.Facts of role "node" of a helloworld service.
type HelloworldFacts struct {
	Server string `json:"server" doc:"nginx; or page: the agent's own small server, where the runtime has no network of its own"`
	Note   string `json:"note,omitempty" doc:"What is different here, for people"`
}
