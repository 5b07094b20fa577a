package join

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"

	"conpaas/certs"
	"conpaas/certs/mtls"
	"conpaas/client/api"
)

// attemptMax bounds one call to the director.
const attemptMax = 30 * time.Second

// Join makes the machine a member: it sends the token and a request for a certificate, and keeps the answer in dir. A
// node that has joined before gets the stored answer without a call. An unreachable or busy director is asked again until
// ctx ends; a refusal, or a director whose certificate is not signed by the CA of the bootstrap data, ends it at once.
// bootID is that of BootID, dataPlane "userspace", "kernel" or "none", overlayPublic the public half of OverlayKey.
func Join(ctx context.Context, log *slog.Logger, b api.Bootstrap, dir, bootID, version, dataPlane string, overlayPublic api.OverlayKey) (api.JoinAnswer, *mtls.Store, error) {
	request := api.JoinRequest{Node: b.Node, Token: b.Token, OverlayKey: overlayPublic, BootID: bootID, Version: version, DataPlane: dataPlane}
	pauses := backoff.NewExponentialBackOff()
	pauses.MaxInterval = 15 * time.Second
	return join(ctx, log, b, dir, request, systemClock(), pauses)
}

func join(ctx context.Context, log *slog.Logger, b api.Bootstrap, dir string, request api.JoinRequest, c clock, pauses backoff.BackOff) (api.JoinAnswer, *mtls.Store, error) {
	if err := check(b); err != nil {
		return api.JoinAnswer{}, nil, err
	}
	c.advance(log, b)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return api.JoinAnswer{}, nil, fmt.Errorf("join: %w", err)
	}
	store, err := mtls.Open(filepath.Join(dir, StoreDir))
	if err != nil {
		return api.JoinAnswer{}, nil, err
	}
	st, err := stored(dir, b, request.OverlayKey, store)
	if err != nil {
		return api.JoinAnswer{}, nil, err
	}
	if st != nil {
		return st.Answer, store, nil
	}
	key, err := store.Key()
	if err != nil {
		return api.JoinAnswer{}, nil, err
	}
	csr, err := certs.CSR(key)
	if err != nil {
		return api.JoinAnswer{}, nil, err
	}
	request.CSR = string(csr)
	answer, err := ask(ctx, log, b, request, pauses)
	if err != nil {
		return api.JoinAnswer{}, nil, fmt.Errorf("join as %s %s: %w", b.Kind, b.Node, err)
	}
	if err := keep(dir, b, store, request.OverlayKey, answer); err != nil {
		return api.JoinAnswer{}, nil, fmt.Errorf("join as %s %s: %w", b.Kind, b.Node, err)
	}
	log.Info("joined", "node", b.Node, "application", answer.Application, "overlay", answer.Overlay, "parent", answer.Parent.Address)
	return answer, store, nil
}

// ask calls the director until it answers, refuses, or ctx ends.
func ask(ctx context.Context, log *slog.Logger, b api.Bootstrap, request api.JoinRequest, pauses backoff.BackOff) (api.JoinAnswer, error) {
	d, err := newDirector(b, nil)
	if err != nil {
		return api.JoinAnswer{}, err
	}
	defer d.close()
	var last error
	answer, err := backoff.Retry(ctx, func() (api.JoinAnswer, error) {
		answer, err := call[api.JoinAnswer](ctx, d, http.MethodPost, "/v1/join", request)
		last = err
		if err != nil && !passes(err) {
			return answer, backoff.Permanent(err)
		}
		return answer, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, pause time.Duration) {
		log.Warn("the director cannot be asked to join, trying again", "director", b.Director, "err", err, "pause", pause)
	}))
	if err != nil && ctx.Err() != nil && last != nil {
		return answer, fmt.Errorf("%w (the last try: %w)", context.Cause(ctx), last)
	}
	return answer, err
}

// keep checks that the certificate is for this node and stores it with the answer.
func keep(dir string, b api.Bootstrap, s *mtls.Store, key api.OverlayKey, answer api.JoinAnswer) error {
	chain, err := certs.ParseCertificates([]byte(answer.Certificate))
	if err != nil {
		return err
	}
	id, err := certs.FromCertificate(chain[0])
	if err != nil {
		return err
	}
	if id.Deployment != b.Deployment || string(id.Role) != b.Kind || id.Node != string(b.Node) || id.Application != answer.Application.String() {
		return fmt.Errorf("the director has sent a certificate for %s", id)
	}
	if err := s.Save([]byte(answer.Certificate), []byte(answer.CA)); err != nil {
		return err
	}
	return State{Deployment: b.Deployment, Kind: b.Kind, Node: b.Node, OverlayKey: key, Answer: answer}.save(dir)
}

// FindParent asks the director once which component is above this node now.
func FindParent(ctx context.Context, b api.Bootstrap, s *mtls.Store) (api.Parent, error) {
	d, err := newDirector(b, s)
	if err != nil {
		return api.Parent{}, err
	}
	defer d.close()
	parent, err := call[api.Parent](ctx, d, http.MethodGet, "/v1/parent", nil)
	if err != nil {
		return api.Parent{}, fmt.Errorf("find the parent of %s: %w", b.Node, err)
	}
	return parent, nil
}

// Renewal keeps the node's certificate fresh by asking the director.
func Renewal(log *slog.Logger, b api.Bootstrap, s *mtls.Store) *mtls.Renewal {
	return mtls.NewRenewal(s, log, Clock(b), renew(b, s))
}

// renew gives the function that asks the director once for a certificate.
func renew(b api.Bootstrap, s *mtls.Store) func(ctx context.Context, csrPEM []byte) (certPEM, caPEM []byte, err error) {
	return func(ctx context.Context, csrPEM []byte) ([]byte, []byte, error) {
		d, err := newDirector(b, s)
		if err != nil {
			return nil, nil, err
		}
		defer d.close()
		answer, err := call[api.RenewAnswer](ctx, d, http.MethodPost, "/v1/renew", api.RenewRequest{CSR: string(csrPEM)})
		if err != nil {
			return nil, nil, err
		}
		return []byte(answer.Certificate), []byte(answer.CA), nil
	}
}

// passes tells whether the same call may succeed later.
func passes(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Retry || e.Code.Status() >= http.StatusInternalServerError && e.Code != api.CodeUnsupported
	}
	return true
}
