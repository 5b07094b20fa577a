package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"conpaas/certs"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyRoundTrip(t *testing.T) {
	k := newKey(t)
	text, err := certs.KeyPEM(k)
	if err != nil {
		t.Fatal(err)
	}
	got, err := certs.ParseKey(text)
	if err != nil || !got.Equal(k) {
		t.Fatalf("got another key back, %v", err)
	}
	if k.Curve != elliptic.P256() {
		t.Errorf("the curve is %s", k.Curve.Params().Name)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	text, err := certs.KeyPEM(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "text": []byte("key"), "two": append(bytes.Clone(text), text...),
		"junk before": append([]byte("x\n"), text...), "cut": text[:len(text)/2],
		"another type": bytes.ReplaceAll(text, []byte("PRIVATE KEY"), []byte("EC PRIVATE KEY")),
		"P-384":        pkcs8(t, p384), "Ed25519": pkcs8(t, ed),
	} {
		if _, err := certs.ParseKey(bad); !errors.Is(err, certs.ErrPEM) {
			t.Errorf("%s: error %v, want an ErrPEM", name, err)
		}
	}
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certs.BlockKey, Bytes: der})
}

func request(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certs.BlockRequest, Bytes: der})
}

func TestParseRequest(t *testing.T) {
	k := newKey(t)
	text, err := certs.CSR(k)
	if err != nil {
		t.Fatal(err)
	}
	got, err := certs.ParseRequest(text)
	if err != nil || !got.Equal(&k.PublicKey) {
		t.Fatalf("got another key back, %v", err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	forged := bytes.Clone(block.Bytes)
	forged[len(forged)-1] ^= 1
	longDER := append(bytes.Clone(block.Bytes), 0)
	encode := func(der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: certs.BlockRequest, Bytes: der})
	}
	headers := pem.EncodeToMemory(&pem.Block{Type: certs.BlockRequest, Bytes: block.Bytes, Headers: map[string]string{"X": strings.Repeat("y", certs.RequestMax)}})
	for name, bad := range map[string][]byte{
		"nothing": nil, "RSA": request(t, weak), "P-384": request(t, p384), "forged": encode(forged), "bytes after it": encode(longDER),
		"two": append(bytes.Clone(text), text...), "too long": headers,
		"another type": bytes.ReplaceAll(text, []byte("CERTIFICATE REQUEST"), []byte("NEW CERTIFICATE REQUEST")),
	} {
		if _, err := certs.ParseRequest(bad); !errors.Is(err, certs.ErrRequest) {
			t.Errorf("%s: error %v, want an ErrRequest", name, err)
		}
	}
}

func TestParseCertificatesRefusesKeys(t *testing.T) {
	text, err := certs.KeyPEM(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"a key": text, "nothing": nil, "no DER": pem.EncodeToMemory(&pem.Block{Type: certs.BlockCertificate})} {
		if _, err := certs.ParseCertificates(bad); !errors.Is(err, certs.ErrPEM) {
			t.Errorf("%s: error %v, want an ErrPEM", name, err)
		}
	}
}

func TestFingerprint(t *testing.T) {
	got := certs.Fingerprint(&x509.Certificate{Raw: []byte("abc")}) // digest of "abc": FIPS 180-2, B.1
	want := "SHA256:BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzParseRequest(f *testing.F) {
	text, err := certs.CSR(newKey(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.TrimSpace(text))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := certs.ParseRequest(text)
		if err == nil && (key == nil || key.Curve != elliptic.P256() || len(text) > certs.RequestMax) {
			t.Fatalf("accepted %d bytes with key %v", len(text), key)
		}
	})
}
