package api

import (
	"net/netip"
	"time"
)

// The kinds of machines that join.
const (
	KindManager = "manager"
	KindAgent   = "agent"
)

// Bootstrap is the part of a machine's user-data that its program reads. It holds no private key and no
// cloud credential; the token is worthless once another key has used it.
type Bootstrap struct {
	Director   string    `json:"director" doc:"URL of the director; its host is the name in the director's certificate"`
	Address    string    `json:"address,omitempty" doc:"host:port to dial instead of resolving the URL's host"`
	CA         string    `json:"ca" doc:"CA certificates, PEM"`
	Deployment string    `json:"deployment"`
	Kind       string    `json:"kind" doc:"manager or agent"`
	Node       NodeID    `json:"node"`
	Token      Secret    `json:"token"`
	Issued     time.Time `json:"issued" doc:"A machine's clock that is earlier is set forward to this"`
	Overlay    bool      `json:"overlay" doc:"False where the runtime has no network of its own"`
	Listen     string    `json:"listen,omitempty" doc:"Where overlay is false: the machine's own address"`
	Code       CodePin   `json:"code"`
}

// CodePin says which code a machine runs and whose signature it must carry.
type CodePin struct {
	Version   string `json:"version"`
	PublicKey string `json:"public_key" doc:"Ed25519, PEM"`
}

// JoinRequest is the first call of a machine. The same key gets the same answer again; another key with the
// same token is refused with an alarm.
type JoinRequest struct {
	Node       NodeID     `json:"node"`
	Token      Secret     `json:"token"`
	CSR        string     `json:"csr" doc:"PKCS #10, PEM, ECDSA P-256; its subject is ignored"`
	OverlayKey OverlayKey `json:"overlay_key" doc:"Public key made on the machine"`
	BootID     string     `json:"boot_id" doc:"Changes with every boot of the machine"`
	Version    string     `json:"version"`
	DataPlane  string     `json:"data_plane" doc:"userspace, kernel or none"`
}

// JoinAnswer is what a machine needs to live.
type JoinAnswer struct {
	Certificate string        `json:"certificate" doc:"PEM, leaf first"`
	CA          string        `json:"ca" doc:"CA certificates to trust, PEM"`
	Application ApplicationID `json:"application"`
	Service     ServiceID     `json:"service"`
	Network     Network       `json:"network"`
	Overlay     netip.Addr    `json:"overlay" doc:"The node's own overlay address"`
	Parent      Parent        `json:"parent"`
}

// Parent is the component above a node: the director for a manager, the manager for an agent.
type Parent struct {
	Address     string  `json:"address" doc:"host:port to dial"`
	ServerName  string  `json:"server_name" doc:"DNS name that its certificate carries"`
	Peer        *Peer   `json:"peer,omitempty" doc:"The manager as overlay peer"`
	Relays      []Relay `json:"relays,omitempty"`
	Incarnation uint64  `json:"incarnation" doc:"Of the manager; 0 for the director"`
}

// RenewRequest asks for a new certificate for the identity of the calling certificate.
type RenewRequest struct {
	CSR string `json:"csr" doc:"PKCS #10, PEM, ECDSA P-256; its subject is ignored"`
}

// RenewAnswer is the new certificate.
type RenewAnswer struct {
	Certificate string `json:"certificate" doc:"PEM, leaf first"`
	CA          string `json:"ca" doc:"CA certificates to trust, PEM"`
}

// Hello is what a child says of itself when it connects (headers of GET /v1/connect carry it as JSON).
type Hello struct {
	Node    NodeID `json:"node"`
	BootID  string `json:"boot_id"`
	Version string `json:"version"`
}

// HeaderHello carries Hello on GET /v1/connect.
const HeaderHello = "Conpaas-Hello"

// The route by which the director carries an agent's connection to its manager where nothing else does: at the director for
// agents, at the manager for the director. What follows the upgrade is TLS between agent and manager.
const (
	SplicePath     = "/v1/splice"
	SpliceProtocol = "conpaas-splice" // of the Upgrade header
)
