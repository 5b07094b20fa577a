// Package ca is the private certificate authority of an installation: it makes the root and issues certificates.
//
// It must not know who may have which certificate, nor keep a record of what it issued: both are the director's.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"conpaas/certs"
)

// Authority is a root certificate with its private key. It may be used from several goroutines.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// New makes an authority that is valid from now for life, with a key of its own. A new one for the same deployment is
// another authority: nodes must trust both while certificates of the old one are in use.
func New(deployment string, now time.Time, life time.Duration) (*Authority, error) {
	if err := certs.CheckDeployment(deployment); err != nil {
		return nil, err
	}
	if life <= 0 {
		return nil, fmt.Errorf("make a certificate authority: life %s is not positive", life)
	}
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "ConPaaS " + deployment, OrganizationalUnit: []string{deployment}},
		NotBefore:    now.UTC(), NotAfter: now.Add(life).UTC(),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	c, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	return &Authority{certificate: c, key: key}, nil
}

// Load makes an authority of what CertificatePEM and KeyPEM gave.
func Load(certPEM, keyPEM []byte) (*Authority, error) {
	list, err := certs.ParseCertificates(certPEM)
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority: %w", err)
	}
	key, err := certs.ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority: %w", err)
	}
	c := list[0]
	switch {
	case len(list) != 1:
		return nil, fmt.Errorf("load the certificate authority: %d certificates, exactly one belongs to a key", len(list))
	case !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("load the certificate authority: the certificate of %q must not sign others", c.Subject.CommonName)
	case !key.PublicKey.Equal(c.PublicKey):
		return nil, fmt.Errorf("load the certificate authority: the key does not belong to the certificate of %q", c.Subject.CommonName)
	}
	return &Authority{certificate: c, key: key}, nil
}

// Certificate gives the root certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// CertificatePEM gives the root certificate in PEM; it is public.
func (a *Authority) CertificatePEM() []byte { return certs.CertificatePEM(a.certificate) }

// KeyPEM gives the private key in PEM; whoever has it can be anybody in the installation.
func (a *Authority) KeyPEM() ([]byte, error) { return certs.KeyPEM(a.key) }

// ParseCSR gives the public key of a certificate request in PEM: at most certs.RequestMax bytes, ECDSA P-256, signed
// with that key. All names in the request are ignored.
func ParseCSR(text []byte) (crypto.PublicKey, error) {
	key, err := certs.ParseRequest(text)
	if err != nil {
		return nil, err
	}
	return key, nil
}

// newSerial draws 128 random bits; the director's database makes sure that no two are equal.
func newSerial() (*big.Int, error) {
	for {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
		if err != nil {
			return nil, fmt.Errorf("draw a serial number: %w", err)
		}
		if serial.Sign() > 0 { // RFC 5280, 4.1.2.2: never zero
			return serial, nil
		}
	}
}

func sign(template, parent *x509.Certificate, key crypto.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
