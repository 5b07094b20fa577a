// Package director is the typed client of the director's routes for people: one method per operation.
//
// Applications and services are named by name or id, nodes and operations by id. Every method returns the
// *api.Error that the director answered, one with api.CodeUnavailable where it does not answer at all, or a
// *TrustError. The package knows nothing of commands, terminals or files.
package director

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// Config says which director to talk to, and as whom.
type Config struct {
	URL   string       // as ParseURL gives it
	CA    []byte       // CA certificates, PEM; they are trusted and no others
	Token api.Secret   // empty: nobody, for login and version
	Key   []byte       // key and certificate of a user, PEM, in the place of a token; nil: none
	Log   *slog.Logger // nil: silent; gets a line per request at debug, without headers and bodies
}

// Client talks to one director. It may be used by several goroutines.
type Client struct {
	wire      *wire.Client
	url       string
	bundle    string            // name of the CA certificates that are trusted
	own       *x509.Certificate // by which it calls; nil: none
	transport *transport
}

// New makes a client; it connects when it is used.
func New(c Config) (*Client, error) {
	pool, err := certs.Pool(c.CA)
	if err != nil {
		return nil, err
	}
	bundle, err := bundleName(c.CA)
	if err != nil {
		return nil, err
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	var own *x509.Certificate
	if len(c.Key) > 0 {
		pair, err := tls.X509KeyPair(c.Key, c.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates, own = []tls.Certificate{pair}, pair.Leaf
	}
	next := wire.NewTransport(config, "")
	t := &transport{next: next, log: log}
	doer := &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a director never sends away
	}
	return &Client{wire: &wire.Client{HTTP: doer, Base: c.URL, Token: c.Token}, url: c.URL, bundle: bundle, own: own, transport: t}, nil
}

// Traced gives a context whose calls all carry one request id, by which the logs of director, managers and agents know
// what they have caused.
func Traced(ctx context.Context) context.Context {
	return wire.WithRequestID(ctx, rand.Text())
}

// URL is the director's.
func (c *Client) URL() string { return c.url }

// SpeaksForUser tells whether the client has a token or a certificate.
func (c *Client) SpeaksForUser() bool { return c.wire.Token != "" || c.own != nil }

// TrustError says that the director's certificate was refused. Nothing has been sent to it.
type TrustError struct {
	URL    string
	Reason error // of crypto/x509
}

// Error names the director and the reason.
func (e *TrustError) Error() string {
	return "the certificate of " + e.URL + " is not trusted: " + e.Reason.Error()
}

// Unwrap gives the reason.
func (e *TrustError) Unwrap() error { return e.Reason }

// transport logs requests and notes which CA certificates are in force.
type transport struct {
	next   http.RoundTripper
	log    *slog.Logger
	bundle atomic.Pointer[string] // their name in the last answer that had one
}

// RoundTrip sends the request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	answer, err := t.next.RoundTrip(r)
	line := t.log.With("method", r.Method, "path", r.URL.RequestURI(), "duration", time.Since(start).Round(time.Microsecond))
	if err != nil {
		line.DebugContext(r.Context(), "request", "err", err)
		return nil, err
	}
	if name := answer.Header.Get(api.HeaderCA); name != "" {
		t.bundle.Store(&name)
	}
	line.DebugContext(r.Context(), "request", "status", answer.StatusCode, "request", answer.Header.Get(api.HeaderRequestID))
	return answer, nil
}

// refused makes the error of a call a TrustError where the certificate was the reason.
func (c *Client) refused(err error) error {
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &TrustError{URL: c.url, Reason: bad.Err}
	}
	return err
}

func send[O any](ctx context.Context, c *Client, method, path string, in any) (O, error) {
	out, err := wire.Call[O](ctx, c.wire, method, path, in)
	return out, c.refused(err)
}

func get[O any](ctx context.Context, c *Client, path string) (O, error) {
	return send[O](ctx, c, http.MethodGet, path, nil)
}

func post[O any](ctx context.Context, c *Client, path string, in any) (O, error) {
	return send[O](ctx, c, http.MethodPost, path, in)
}

// list gives all pages of a list.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	items := []T{}
	for {
		page, err := get[api.List[T]](ctx, c, with(path, query))
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Next == "" {
			return items, nil
		}
		if query == nil {
			query = url.Values{}
		}
		if page.Next == query.Get("after") {
			return nil, api.Errorf(api.CodeInternal, "the director gives the same page of %s again", path)
		}
		query.Set("after", page.Next)
	}
}

func stream(ctx context.Context, c *Client, method, path string, in any) (io.ReadCloser, error) {
	body, err := wire.Stream(ctx, c.wire, method, path, in)
	return body, c.refused(err)
}

// values opens a stream and gives what decode reads of it; the stream is closed when the loop ends.
func values[T any](ctx context.Context, c *Client, method, path string, in any, decode func(io.Reader) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		body, err := stream(ctx, c, method, path, in)
		if err != nil {
			yield(none, err)
			return
		}
		defer func() { _ = body.Close() }()
		for v, err := range decode(body) {
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// path joins the parts of a path; names keep their slashes and spaces inside their part.
func path(parts ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, part := range parts {
		b.WriteByte('/')
		if strings.Trim(part, ".") == "" { // "." and ".." are names that nothing has, not steps up
			part = strings.ReplaceAll(part, ".", "%2E")
		} else {
			part = url.PathEscape(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

func with(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
