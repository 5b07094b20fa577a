package mtls

import (
	"crypto/tls"
	"crypto/x509"
)

// ServerConfig gives the configuration of a listener. Clients are asked for a certificate, which the handshake does not
// check (it only proves that the client holds the key): that is done by Verify, since one that has just expired still
// opens the renewal route. cert is called for every handshake.
func ServerConfig(cert func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		ClientAuth:     tls.RequestClientCert,
		GetCertificate: cert,
	}
}

// ClientConfig gives the configuration of one connection to serverName. It trusts what roots gives now (a nil roots
// means those of the store, and nil of both nobody), and shows the certificate that the store has at the handshake; a
// nil store shows none. It offers HTTP/1.1 only, since HTTP/2 cannot be upgraded to a tunnel. Make a new one for every
// dial, so that a changed CA bundle counts.
func ClientConfig(s *Store, roots func() *x509.CertPool, serverName string) *tls.Config {
	if roots == nil && s != nil {
		roots = s.Roots
	}
	trusted := x509.NewCertPool()
	if roots != nil {
		if pool := roots(); pool != nil {
			trusted = pool
		}
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		RootCAs:    trusted, // never nil, which would mean the system's CAs
		ServerName: serverName,
	}
	if s != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.Certificate() }
	}
	return cfg
}
