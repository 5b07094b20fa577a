package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"conpaas/certs"
)

// Grace is how long after its end a certificate still opens the renewal route.
const Grace = 90 * 24 * time.Hour

// Peer is the other end of a connection after Verify.
type Peer struct {
	Identity    certs.Identity
	Certificate *x509.Certificate
	Serial      string // 32 hexadecimal digits, as ca.Issued has it
	Expired     bool   // ended less than Grace ago: it may renew and nothing else
}

// Verify tells who is at the other end of a connection: its certificate must be signed by one of roots, for clients,
// valid at now or expired for less than Grace, and carry one identity. That the identity belongs to this deployment, and
// that the certificate is not revoked, are the caller's checks. Without a certificate the error wraps ErrNoCertificate.
func Verify(cs *tls.ConnectionState, roots *x509.CertPool, now time.Time) (Peer, error) {
	if cs == nil || len(cs.PeerCertificates) == 0 {
		return Peer{}, fmt.Errorf("verify the peer: %w", ErrNoCertificate)
	}
	if roots == nil { // it would mean the system's CAs
		roots = x509.NewCertPool()
	}
	leaf := cs.PeerCertificates[0]
	expired := now.After(leaf.NotAfter)
	at := now
	switch {
	case now.Before(leaf.NotBefore):
		return Peer{}, fmt.Errorf("verify the peer: its certificate begins at %s and it is %s here: one of the clocks is wrong", stamp(leaf.NotBefore), stamp(now))
	case expired && now.Sub(leaf.NotAfter) >= Grace:
		return Peer{}, fmt.Errorf("verify the peer: its certificate ended at %s, too long ago to be renewed", stamp(leaf.NotAfter))
	case expired:
		at = leaf.NotAfter
	}
	// The roots sign leaves only, so certificates that came with the leaf are no help.
	options := x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(options); err != nil {
		return Peer{}, fmt.Errorf("verify the peer: %w", err)
	}
	// Verify accepts certificates that name no usage at all.
	if leaf.IsCA || !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return Peer{}, errors.New("verify the peer: its certificate is not one for clients")
	}
	id, err := certs.FromCertificate(leaf)
	if err != nil {
		return Peer{}, fmt.Errorf("verify the peer: %w", err)
	}
	return Peer{Identity: id, Certificate: leaf, Serial: certs.Serial(leaf), Expired: expired}, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
