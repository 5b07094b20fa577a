package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
)

// BundleName names a set of CA certificates, whatever their order: 32 hexadecimal digits, other ones for another set. The
// empty set is "".
func BundleName(roots []*x509.Certificate) string {
	if len(roots) == 0 {
		return ""
	}
	sums := make([][]byte, len(roots))
	for i, c := range roots {
		sum := sha256.Sum256(c.Raw)
		sums[i] = sum[:]
	}
	slices.SortFunc(sums, bytes.Compare)
	sum := sha256.Sum256(bytes.Join(slices.CompactFunc(sums, bytes.Equal), nil))
	return hex.EncodeToString(sum[:16])
}

// SignedBy tells whether one of the CA certificates has signed c, whatever the time.
func SignedBy(c *x509.Certificate, roots []*x509.Certificate) bool {
	return slices.ContainsFunc(roots, func(ca *x509.Certificate) bool { return c.CheckSignatureFrom(ca) == nil })
}

// TrustName names what a node has been given by its installation: the CA certificates that it trusts and the authority,
// by its subject key id, that has signed its own certificate. Two nodes with the same name are at the same step of a
// rotation of the CA.
func TrustName(signer []byte, roots []*x509.Certificate) string {
	return BundleName(roots) + "-" + hex.EncodeToString(signer)
}
