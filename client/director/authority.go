package director

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"conpaas/certs"
	"conpaas/client/api"
)

// Port is the director's port where a URL names none.
const Port = "5555"

// ParseURL gives the director's URL in full: https, host and port. Scheme and port may be left out.
func ParseURL(text string) (string, error) {
	full := text
	if !strings.Contains(full, "://") {
		full = "https://" + full
	}
	u, err := url.Parse(full)
	switch {
	case err != nil || !isHost(u.Hostname()):
		return "", fmt.Errorf("%q is no URL of a director; it looks like https://director.example.org:%s", text, Port)
	case u.Scheme != "https":
		return "", fmt.Errorf("%q: a director is spoken to by https, not by %q", text, u.Scheme)
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q: the URL of a director is scheme, host and port and nothing else", text)
	}
	port := u.Port()
	if port == "" {
		port = Port
	}
	return (&url.URL{Scheme: "https", Host: net.JoinHostPort(u.Hostname(), port)}).String(), nil
}

// isHost tells whether a text is an address or a host name; names of other scripts are written as xn--….
func isHost(text string) bool {
	_, err := netip.ParseAddr(text)
	address := err == nil
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && r != '.' && r != '-' && r != '_' && !(address && (r == ':' || r == '%'))
	})
}

// Authority is a set of CA certificates.
type Authority struct {
	PEM          []byte
	Fingerprints []string // one per certificate, in the form SHA256:AB:CD:…
}

// ParseAuthority reads CA certificates from PEM.
func ParseAuthority(pem []byte) (Authority, error) {
	if _, err := certs.Pool(pem); err != nil {
		return Authority{}, err
	}
	list, err := certs.ParseCertificates(pem)
	if err != nil {
		return Authority{}, err
	}
	a := Authority{PEM: certs.CertificatePEM(list...)}
	for _, c := range list {
		a.Fingerprints = append(a.Fingerprints, certs.Fingerprint(c))
	}
	return a, nil
}

// Only gives the certificate with a fingerprint; false when there is none. Case, colons and the word SHA256
// do not matter.
func (a Authority) Only(fingerprint string) (Authority, bool) {
	list, err := certs.ParseCertificates(a.PEM)
	if err != nil {
		return Authority{}, false
	}
	for _, c := range list {
		if f := certs.Fingerprint(c); digits(f) == digits(fingerprint) {
			return Authority{PEM: certs.CertificatePEM(c), Fingerprints: []string{f}}, true
		}
	}
	return Authority{}, false
}

// Within tells whether every certificate of a is one of trusted.
func (a Authority) Within(trusted Authority) bool {
	return !slices.ContainsFunc(a.Fingerprints, func(f string) bool { return !slices.Contains(trusted.Fingerprints, f) })
}

// CheckFingerprint tells whether a text is the fingerprint of a certificate.
func CheckFingerprint(text string) error {
	d := digits(text)
	if len(d) != 64 || strings.Trim(d, "0123456789ABCDEF") != "" {
		return fmt.Errorf("%q is no fingerprint; one is SHA256: and 32 bytes in hexadecimal, AB:CD:…", text)
	}
	return nil
}

func digits(fingerprint string) string {
	f := strings.ToUpper(strings.TrimSpace(fingerprint))
	return strings.ReplaceAll(strings.TrimPrefix(f, "SHA256:"), ":", "")
}

// FetchAuthority asks the director at a URL for its CA certificates. They come in clear over a connection that
// nobody vouches for: they are worth nothing until a person has compared their fingerprints.
func FetchAuthority(ctx context.Context, directorURL string) (Authority, error) {
	const most = 256 << 10
	u, err := url.Parse(directorURL)
	if err != nil {
		return Authority{}, err
	}
	u.Scheme, u.Path = "http", "/ca.pem"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Authority{}, err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err
		}
		return Authority{}, api.Errorf(api.CodeUnavailable, "ask %s for its CA certificate: %v", u, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		return Authority{}, api.Errorf(api.CodeUnavailable, "ask %s for its CA certificate: %v", u, err)
	}
	if answer.StatusCode != http.StatusOK {
		return Authority{}, fmt.Errorf("ask %s for its CA certificate: it answers %s; is it a director?", u, answer.Status)
	}
	a, err := ParseAuthority(body)
	if err != nil {
		return Authority{}, fmt.Errorf("ask %s for its CA certificate: %w; is it a director?", u, err)
	}
	return a, nil
}
