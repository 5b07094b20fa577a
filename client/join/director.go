package join

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// director is the client of the few calls of this package.
type director struct {
	client    *wire.Client
	transport *http.Transport
}

// newDirector prepares calls to the director: without a store it is verified by the CA of the bootstrap data and sees no
// certificate, with one by the store's, and the node shows its own.
func newDirector(b api.Bootstrap, s *mtls.Store) (*director, error) {
	host, err := directorHost(b)
	if err != nil {
		return nil, err
	}
	var cfg *tls.Config
	if s != nil {
		cfg = mtls.ClientConfig(s, nil, host)
	} else {
		pool, err := certs.Pool([]byte(b.CA))
		if err != nil {
			return nil, fmt.Errorf("%w: ca: %w", ErrBootstrap, err)
		}
		cfg = mtls.ClientConfig(nil, func() *x509.CertPool { return pool }, host)
	}
	cfg.Time = Clock(b)
	transport := wire.NewTransport(cfg, b.Address)
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // a token goes nowhere else
	return &director{client: &wire.Client{HTTP: client, Base: strings.TrimSuffix(b.Director, "/")}, transport: transport}, nil
}

func (d *director) close() { d.transport.CloseIdleConnections() }

// call makes one call with a deadline of its own. The error of a director that is not the right one says so and wraps the
// *tls.CertificateVerificationError.
func call[O any](ctx context.Context, d *director, method, path string, in any) (O, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptMax)
	defer cancel()
	out, err := wire.Call[O](ctx, d.client, method, path, in)
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return out, fmt.Errorf("what answers at %s is not the director of this installation, for the CA that this node trusts does not vouch for it: %w", d.client.Base, wrong)
	}
	return out, err
}
