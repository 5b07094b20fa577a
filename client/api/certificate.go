package api

import "time"

// CertificateCreate asks for a certificate of a user, with the token of a login.
type CertificateCreate struct {
	Name    string `json:"name" doc:"What it is for; unique among those of the user that are good"`
	CSR     string `json:"csr" doc:"PKCS #10, PEM, ECDSA P-256; its subject is ignored"`
	Seconds int64  `json:"seconds,omitempty" doc:"How long it is good: 60 to 31622400 (366 days); default 365 days"`
}

// UserCertificate is a certificate by which a user calls.
type UserCertificate struct {
	ID      int64      `json:"id"`
	Serial  string     `json:"serial" doc:"32 hexadecimal digits"`
	Name    string     `json:"name"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Used    *time.Time `json:"used,omitempty" doc:"The last use, up to an hour too early"`
}

// CertificateCreated is the answer to a CertificateCreate.
type CertificateCreated struct {
	UserCertificate
	Certificate string `json:"certificate" doc:"PEM"`
	CA          string `json:"ca" doc:"CA certificates to trust, PEM"`
}

// Certificate is one of those that the installation has issued.
type Certificate struct {
	ID          int64      `json:"id"`
	Serial      string     `json:"serial" doc:"32 hexadecimal digits"`
	Role        string     `json:"role" doc:"user, manager, agent or director"`
	User        string     `json:"user,omitempty" doc:"Whose it is, or whose application the node serves; the id where the user is gone"`
	Application string     `json:"application,omitempty" doc:"Id"`
	Node        NodeID     `json:"node,omitempty"`
	Name        string     `json:"name,omitempty" doc:"That the user has given it"`
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires"`
	Revoked     *time.Time `json:"revoked,omitempty"`
	Reason      string     `json:"reason,omitempty" doc:"Of the revocation"`
}
