package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
)

// RequestMax is the longest certificate request that is read, in bytes of PEM; one of CSR has about 400.
const RequestMax = 8 << 10

// ErrRequest is wrapped by every error of ParseRequest.
var ErrRequest = errors.New("invalid certificate request")

// ParseRequest gives the public key of a certificate request (PKCS #10, PEM), always ECDSA on P-256. Everything else
// in the request is ignored, since a requester does not choose its own name.
func ParseRequest(text []byte) (*ecdsa.PublicKey, error) {
	if len(text) > RequestMax {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrRequest, len(text), RequestMax)
	}
	der, err := oneBlock(text, BlockRequest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: the key is not ECDSA P-256", ErrRequest)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: it is not signed with its own key: %w", ErrRequest, err)
	}
	return key, nil
}
