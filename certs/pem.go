package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// The types of PEM blocks that an installation uses.
const (
	BlockCertificate = "CERTIFICATE"
	BlockRequest     = "CERTIFICATE REQUEST"
	BlockKey         = "PRIVATE KEY"
)

// ErrPEM is wrapped by every error about text that is not the PEM that was expected.
var ErrPEM = errors.New("invalid PEM")

// NewKey makes a private key on P-256, the only kind of key of an installation.
func NewKey() (*ecdsa.PrivateKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a private key: %w", err)
	}
	return k, nil
}

// KeyPEM gives a private key as PKCS #8 in PEM.
func KeyPEM(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: BlockKey, Bytes: der}), nil
}

// ParseKey reads what KeyPEM has written. Its errors never hold a part of the text.
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	der, err := oneBlock(text, BlockKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: the private key is not PKCS #8", ErrPEM)
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: the private key is not ECDSA P-256", ErrPEM)
	}
	return k, nil
}

// CSR makes a certificate request (PKCS #10, PEM) for the key. It names nobody: who the certificate is for is decided
// by the issuer.
func CSR(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}}, k)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: BlockRequest, Bytes: der}), nil
}

// CertificatePEM gives certificates as PEM, one after the other.
func CertificatePEM(list ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range list {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: BlockCertificate, Bytes: c.Raw}))
	}
	return out.Bytes()
}

// ParseCertificates reads one certificate or more. Blocks of another type are refused, so that no private key slips
// into a place for certificates.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != BlockCertificate {
			return nil, fmt.Errorf("%w: a block %q stands where certificates are expected", ErrPEM, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrPEM, len(list)+1, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: there is no certificate", ErrPEM)
	}
	return list, nil
}

// Pool gives the CA certificates of a PEM text as a set to verify with.
func Pool(text []byte) (*x509.CertPool, error) {
	list, err := ParseCertificates(text)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range list {
		if !c.IsCA {
			return nil, fmt.Errorf("%w: the certificate of %q is not that of a CA", ErrPEM, c.Subject.CommonName)
		}
		pool.AddCert(c)
	}
	return pool, nil
}

// Fingerprint gives "SHA256:" and the digest of the certificate's DER form in upper-case hexadecimal, a colon between
// the bytes.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return "SHA256:" + strings.Join(parts, ":")
}

// Serial gives the serial number of a certificate in 32 hexadecimal digits, as databases and logs keep it.
func Serial(c *x509.Certificate) string { return fmt.Sprintf("%032x", c.SerialNumber) }

// oneBlock gives the bytes of a PEM text that is exactly one block of the given type.
func oneBlock(text []byte, kind string) ([]byte, error) {
	text = bytes.TrimSpace(text)
	block, rest := pem.Decode(text)
	switch {
	case block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN "+kind+"-----")) || block.Type != kind:
		return nil, fmt.Errorf("%w: a block %q is expected", ErrPEM, kind)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%w: more than one block %q", ErrPEM, kind)
	}
	return block.Bytes, nil
}
