// Package mtls is the use of certificates on connections: a node's own in a directory, the tls.Config of both ends,
// the check of the other end's identity, and renewal.
//
// It must not know HTTP, API types or who may do what: it says who the peer is, the caller decides.
package mtls

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"conpaas/certs"
)

// ErrNoCertificate is wrapped where a certificate is needed and there is none: a store before Save, a peer that has
// shown none.
var ErrNoCertificate = errors.New("no certificate")

const (
	keyFile  = "key.pem"  // the key made for the first certificate, until that is there
	nodeFile = "node.pem" // key and certificate chain in one file, so that they always fit
	caFile   = "ca.pem"   // the CA certificates to trust
)

// Store keeps a node's private key, certificate and CA bundle in a directory and in memory. What is saved is used by
// the next handshake of every tls.Config made of the store. It may be used from several goroutines, by one process.
type Store struct {
	dir string

	mu    sync.RWMutex
	key   *ecdsa.PrivateKey // nil until Key
	next  *ecdsa.PrivateKey // nil unless a renewal is under way
	cert  *tls.Certificate  // nil until Save
	since time.Time         // when cert was saved, by this machine's clock
	cas   []*x509.Certificate
	roots *x509.CertPool // of cas; empty until Save: nil would mean the system's
}

// Open opens the store in dir, which is made with mode 0700 where it does not exist.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the certificate store: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the certificate store: %w", err)
	}
	s := &Store{dir: dir, roots: x509.NewCertPool()}
	if err := errors.Join(s.loadCA(), s.loadNode()); err != nil {
		return nil, fmt.Errorf("open the certificate store: %w", err)
	}
	return s, nil
}

func (s *Store) loadCA() error {
	text, err := os.ReadFile(s.path(caFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.roots, err = certs.Pool(text); err == nil {
		s.cas, err = certs.ParseCertificates(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(caFile), err)
	}
	return nil
}

func (s *Store) loadNode() error {
	text, err := os.ReadFile(s.path(nodeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(nodeFile), err)
	}
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("%s: the private key is a %T, not ECDSA", s.path(nodeFile), cert.PrivateKey)
	}
	info, err := os.Stat(s.path(nodeFile))
	if err != nil {
		return err
	}
	s.key, s.cert, s.since = key, &cert, info.ModTime()
	return nil
}

// Key gives the private key of the certificate. Before the first Save it is a key made now and kept in the directory,
// so that a join that was interrupted goes on with the same one.
func (s *Store) Key() (*ecdsa.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return s.key, nil
	}
	text, err := os.ReadFile(s.path(keyFile))
	switch {
	case err == nil:
		key, err := certs.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.path(keyFile), err)
		}
		s.key = key
		return key, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	if text, err = certs.KeyPEM(key); err != nil {
		return nil, err
	}
	if err := writeFile(s.path(keyFile), text); err != nil {
		return nil, fmt.Errorf("keep the private key: %w", err)
	}
	s.key = key
	return key, nil
}

// NextKey gives the key that the next certificate is to be made for. It is another than Key, kept in memory only: a
// renewal that is interrupted starts again with a new one.
func (s *Store) NextKey() (*ecdsa.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		key, err := certs.NewKey()
		if err != nil {
			return nil, err
		}
		s.next = key
	}
	return s.next, nil
}

// Save keeps and uses a certificate chain (leaf first) for the key of Key or NextKey, and the CA certificates to trust.
// A certificate for another key, or one that those CAs have not signed, is refused and changes nothing.
func (s *Store) Save(certPEM, caPEM []byte) error {
	chain, err := certs.ParseCertificates(certPEM)
	if err != nil {
		return fmt.Errorf("save the certificate: %w", err)
	}
	cas, err := certs.ParseCertificates(caPEM)
	if err != nil {
		return fmt.Errorf("save the CA certificates: %w", err)
	}
	roots, err := certs.Pool(caPEM)
	if err != nil {
		return fmt.Errorf("save the CA certificates: %w", err)
	}
	leaf := chain[0]
	if !certs.SignedBy(leaf, cas) {
		return fmt.Errorf("save the certificate: none of the %d CA certificates that came with it has signed it", len(cas))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var key *ecdsa.PrivateKey
	for _, k := range []*ecdsa.PrivateKey{s.key, s.next} {
		if k != nil && k.PublicKey.Equal(leaf.PublicKey) {
			key = k
		}
	}
	if key == nil {
		return fmt.Errorf("save the certificate: it was made for another key than this store's")
	}
	text, err := certs.KeyPEM(key)
	if err != nil {
		return err
	}
	// The bundle first: it holds the old CA as long as certificates of that one are in use.
	if err := writeFile(s.path(caFile), certs.CertificatePEM(cas...)); err != nil {
		return fmt.Errorf("save the CA certificates: %w", err)
	}
	if err := writeFile(s.path(nodeFile), append(text, certs.CertificatePEM(chain...)...)); err != nil {
		return fmt.Errorf("save the certificate: %w", err)
	}
	cert := &tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	s.key, s.next, s.cert, s.since, s.cas, s.roots = key, nil, cert, time.Now(), cas, roots
	if err := os.Remove(s.path(keyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the first private key: %w", err)
	}
	return nil
}

// Certificate gives what the next handshake shows. Before the first Save its error wraps ErrNoCertificate.
func (s *Store) Certificate() (*tls.Certificate, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cert == nil {
		return nil, fmt.Errorf("%s: %w: this node has not joined yet", s.dir, ErrNoCertificate)
	}
	return s.cert, nil
}

// Leaf gives the certificate, nil before the first Save.
func (s *Store) Leaf() *x509.Certificate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cert == nil {
		return nil
	}
	return s.cert.Leaf
}

// Roots gives the CA certificates to trust. Before the first Save the set is empty, which trusts nobody.
func (s *Store) Roots() *x509.CertPool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.roots
}

// Trust names what the store was given last, as certs.TrustName does; "" before the first Save.
func (s *Store) Trust() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cert == nil {
		return ""
	}
	return certs.TrustName(s.cert.Leaf.AuthorityKeyId, s.cas)
}

// Trusts tells whether one of the CA certificates to trust has signed c, whatever the time.
func (s *Store) Trusts(c *x509.Certificate) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return certs.SignedBy(c, s.cas)
}

// held gives the certificate and when it was saved, by this machine's clock; nil before the first Save.
func (s *Store) held() (*x509.Certificate, time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cert == nil {
		return nil, time.Time{}
	}
	return s.cert.Leaf, s.since
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }
