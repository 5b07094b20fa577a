package api

import "time"

// HeaderCA carries the name of the CA certificates in force on every answer of the director. A client that trusts others
// asks for them: GET /v1/ca.
const HeaderCA = "Conpaas-Ca"

// CABundle is the CA certificates to trust.
type CABundle struct {
	Certificates string `json:"certificates" doc:"PEM"`
	Name         string `json:"name" doc:"Changes with the certificates"`
}

// CAStep is how far a rotation of the CA has come.
type CAStep string

// The steps of a rotation, in their order. All but the first have two authorities.
const (
	CASettled     CAStep = "settled"     // there is one authority, and no rotation
	CAIntroducing CAStep = "introducing" // nodes learn to trust the new authority; the old one signs
	CARenewing    CAStep = "renewing"    // the new one signs; nodes renew their certificates
	CAOverlap     CAStep = "overlap"     // every node has done so; the old one can be retired
)

// CAState is the authorities of an installation and how far a rotation has come.
type CAState struct {
	Step        CAStep      `json:"step"`
	Authorities []Authority `json:"authorities" doc:"That are trusted, the newest first"`
	Waiting     int         `json:"waiting" doc:"Nodes that the step waits for"`
	Nodes       []NodeID    `json:"nodes,omitempty" doc:"The first of them"`
	Users       int         `json:"users" doc:"Certificates of users that an older authority than the newest has signed; they end with it"`
}

// Authority is one CA certificate.
type Authority struct {
	Fingerprint string    `json:"fingerprint" doc:"SHA256:AB:CD:…"`
	Created     time.Time `json:"created"`
	Ends        time.Time `json:"ends"`
	Signs       bool      `json:"signs" doc:"It signs new certificates of nodes"`
	Serves      bool      `json:"serves" doc:"It has signed the certificate that the director shows: who trusts only this one reaches the director"`
}

// CARetire ends the rotation.
type CARetire struct {
	Force bool `json:"force,omitempty" doc:"Although nodes still wait: they cannot reach the director any more and are replaced. Certificates of users that the old authority has signed end"`
}
