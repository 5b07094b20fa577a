package certs_test

import (
	"crypto/x509"
	"testing"

	"conpaas/certs"
)

func TestBundleNames(t *testing.T) {
	a, b := &x509.Certificate{Raw: []byte("a")}, &x509.Certificate{Raw: []byte("b")}
	both := certs.BundleName([]*x509.Certificate{a, b})
	if len(both) != 32 || certs.BundleName([]*x509.Certificate{b, a, b}) != both {
		t.Errorf("the name %q depends on the order, or on a certificate that is there twice", both)
	}
	if certs.BundleName([]*x509.Certificate{a}) == both || certs.BundleName(nil) != "" {
		t.Error("another set has the same name")
	}
	if certs.TrustName([]byte{1}, []*x509.Certificate{a}) == certs.TrustName([]byte{2}, []*x509.Certificate{a}) {
		t.Error("another signer gives the same name")
	}
}
