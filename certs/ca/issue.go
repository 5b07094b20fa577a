package ca

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"conpaas/certs"
)

// Request says what certificate to issue. The identity becomes the only URI of the certificate; a node's DNS name is
// added to DNSNames. NotBefore should lie an hour or so in the past, for clocks that are late. Server and Client are
// what the holder may do with it; agents and users are never servers.
type Request struct {
	Identity  certs.Identity
	PublicKey crypto.PublicKey // *ecdsa.PublicKey on P-256
	NotBefore time.Time
	NotAfter  time.Time // shortened to the authority's own end
	DNSNames  []string
	IPs       []netip.Addr
	Server    bool
	Client    bool
}

// Issued is a new certificate.
type Issued struct {
	PEM         []byte
	Serial      string // 128 random bits in 32 hexadecimal digits
	NotAfter    time.Time
	Certificate *x509.Certificate
}

// Issue signs a certificate. It keeps no record and asks nobody: the caller has decided that the identity is right.
func (a *Authority) Issue(r Request) (Issued, error) {
	if err := r.check(); err != nil {
		return Issued{}, fmt.Errorf("issue a certificate for %s: %w", r.Identity, err)
	}
	end := r.NotAfter
	if end.After(a.certificate.NotAfter) {
		end = a.certificate.NotAfter
	}
	if !r.NotBefore.Before(end) {
		return Issued{}, fmt.Errorf("issue a certificate for %s: it would end at %s, not after its begin %s", r.Identity, end.UTC(), r.NotBefore.UTC())
	}
	serial, err := newSerial()
	if err != nil {
		return Issued{}, err
	}
	names := slices.Clone(r.DNSNames)
	if node := r.Identity.DNSName(); node != "" && !slices.Contains(names, node) {
		names = append(names, node)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: r.commonName(names), OrganizationalUnit: []string{r.Identity.Deployment, string(r.Identity.Role)}},
		NotBefore:    r.NotBefore.UTC(), NotAfter: end.UTC(),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		DNSNames: names, URIs: []*url.URL{r.Identity.URI()},
	}
	for _, ip := range r.IPs {
		template.IPAddresses = append(template.IPAddresses, net.IP(ip.Unmap().AsSlice()))
	}
	if r.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if r.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	c, err := sign(template, a.certificate, r.PublicKey, a.key)
	if err != nil {
		return Issued{}, fmt.Errorf("issue a certificate for %s: %w", r.Identity, err)
	}
	return Issued{PEM: certs.CertificatePEM(c), Serial: certs.Serial(c), NotAfter: c.NotAfter, Certificate: c}, nil
}

func (r Request) check() error {
	if err := r.Identity.Check(); err != nil {
		return err
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return fmt.Errorf("a %T is not a public key on P-256", r.PublicKey)
	}
	server := r.Identity.Role == certs.RoleDirector || r.Identity.Role == certs.RoleManager
	switch {
	case r.Server && !server:
		return fmt.Errorf("the role %s must not be a server", r.Identity.Role)
	case !r.Server && !r.Client:
		return fmt.Errorf("it would be good for nothing: neither server nor client")
	case slices.ContainsFunc(r.IPs, func(ip netip.Addr) bool { return !ip.IsValid() || ip.Zone() != "" }):
		return fmt.Errorf("one of its addresses %v is not valid", r.IPs)
	}
	return nil
}

// commonName is for people and for old browsers; nothing here reads it. X.520 allows 64 characters.
func (r Request) commonName(names []string) string {
	name := cmp.Or(append(slices.Clone(names), r.Identity.User, string(r.Identity.Role))...)
	return name[:min(len(name), 64)]
}
