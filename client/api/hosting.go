package api

import "net/netip"

// The roles of the hosting types.
const (
	RoleProxy   Role = "proxy"   // HAProxy: takes the requests; the first one also keeps the sessions
	RoleWeb     Role = "web"     // nginx: static files, and what is dynamic to the backends
	RoleBackend Role = "backend" // runs the programs
)

// CodeDefault is the version that every hosting service begins with: a welcome page that comes with the agent.
const CodeDefault = "code-default"

// Server is one machine behind another in the configuration of a role.
type Server struct {
	Node    NodeID         `json:"node"`
	Address netip.AddrPort `json:"address" doc:"On the overlay"`
}

// HostingProxyConfig is the RoleSpec.Config of role proxy of a hosting type.
type HostingProxyConfig struct {
	Port     uint16         `json:"port" doc:"Published TCP port, on every address of the machine"`
	Version  string         `json:"version" doc:"Code version that requests get; set as a header on every request, whatever the client sent"`
	Webs     []Server       `json:"webs" doc:"nginx servers that take requests; sorted by node"`
	Sessions *SessionsStore `json:"sessions,omitempty" doc:"Present on the first proxy only: run Redis here"`
	Holders  []LockHolder   `json:"holders,omitempty" doc:"Beside sessions: the machines whose programs lock sessions; when one is lost, its locks are released"`
}

// LockHolder is a machine whose programs lock sessions while they use them.
type LockHolder struct {
	Address netip.Addr `json:"address" doc:"On the overlay"`
	Name    string     `json:"name" doc:"What its locks begin with: its host name"`
}

// SessionsStore is where sessions are kept.
type SessionsStore struct {
	Listen   netip.AddrPort `json:"listen" doc:"Overlay address and port of Redis"`
	Password string         `json:"password"`
}

// HostingWebConfig is the RoleSpec.Config of role web of a hosting type.
type HostingWebConfig struct {
	Listen   netip.AddrPort `json:"listen" doc:"Overlay address and port"`
	Versions []CodeBlob     `json:"versions" doc:"Versions to have unpacked, whichever a request's header names"`
	Backends []Server       `json:"backends" doc:"Servers that run the programs; sorted by node"`
	Patience int            `json:"patience,omitempty" doc:"Seconds that a program may say nothing before its visitor gets an error; absent: 60"`
}

// HostingBackendConfig is the RoleSpec.Config of role backend of a hosting type.
type HostingBackendConfig struct {
	Listen   netip.AddrPort    `json:"listen" doc:"Overlay address and port"`
	Versions []CodeBlob        `json:"versions"`
	Settings map[string]string `json:"settings" doc:"All settings of the type, checked by the director"`
	Sessions SessionsStore     `json:"sessions" doc:"Where programs keep sessions"`
	Patience int               `json:"patience,omitempty" doc:"As of role web: for so many seconds a request locks its session at most, and another one of the session waits for it"`
	Env      map[string]Secret `json:"env,omitempty" doc:"Environment variables of the program"`
	Drain    bool              `json:"drain,omitempty" doc:"No web uses it any more: finish what is in flight, then report drained"`
}

// CodeBlob is one version of a service's code. CodeDefault has no blob: SHA256 is empty.
type CodeBlob struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256,omitempty"`
	Format string `json:"format,omitempty" doc:"tar, tar.gz, tar.bz2, tar.xz or zip"`
}

// HostingFacts are the RoleStatus.Facts of roles web and backend: which versions are unpacked and passed their check here.
type HostingFacts struct {
	Checked map[string]bool   `json:"checked,omitempty" doc:"Version id: usable on this node"`
	Refused map[string]string `json:"refused,omitempty" doc:"Version id: why it is not, in the words of the program or of the unpacker"`
	Version string            `json:"version,omitempty" doc:"Role proxy: the version that the running proxy gives requests"`
	Servers []NodeID          `json:"servers,omitempty" doc:"Roles proxy and web: the servers that the running configuration uses, sorted"`
	Active  int               `json:"active" doc:"Role backend: requests in flight"`
	Host    string            `json:"host,omitempty" doc:"Role backend: the machine's host name, by which its locks of sessions are known"`
}
