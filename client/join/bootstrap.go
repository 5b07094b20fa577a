// Package join is a node's side of the bootstrap API of the director: it reads the machine's bootstrap data, joins once,
// and later asks for its parent again or for a new certificate. What the node has learnt stays in its state directory.
//
// It must not know what a manager or an agent does, nor how the overlay is brought up.
package join

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"conpaas/certs"
	"conpaas/client/api"
)

// bootstrapMax is the longest bootstrap file, in bytes; one with three CA certificates has about 4000.
const bootstrapMax = 64 << 10

// ErrBootstrap is wrapped by every error about bootstrap data that cannot be right.
var ErrBootstrap = errors.New("invalid bootstrap data")

// ReadBootstrap reads the bootstrap file that the machine's user-data has written: one JSON document without members
// that this version does not know, at most 64 KiB.
func ReadBootstrap(path string) (api.Bootstrap, error) {
	f, err := os.Open(path)
	if err != nil {
		return api.Bootstrap{}, fmt.Errorf("read the bootstrap data: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, bootstrapMax+1))
	if err != nil {
		return api.Bootstrap{}, fmt.Errorf("read the bootstrap data: %w", err)
	}
	b, err := parseBootstrap(text)
	if err != nil {
		return api.Bootstrap{}, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

func parseBootstrap(text []byte) (api.Bootstrap, error) {
	if len(text) > bootstrapMax {
		return api.Bootstrap{}, fmt.Errorf("%w: more than %d bytes", ErrBootstrap, bootstrapMax)
	}
	var b api.Bootstrap
	if err := strictJSON(text, &b); err != nil {
		return api.Bootstrap{}, fmt.Errorf("%w: %w", ErrBootstrap, err)
	}
	if err := check(b); err != nil {
		return api.Bootstrap{}, err
	}
	return b, nil
}

// check tells what of the bootstrap data cannot be right. No error shows the token.
func check(b api.Bootstrap) error {
	if _, err := directorHost(b); err != nil {
		return err
	}
	if b.Address != "" {
		if host, port, err := net.SplitHostPort(b.Address); err != nil || host == "" || port == "" {
			return fmt.Errorf("%w: address %q is not host:port", ErrBootstrap, b.Address)
		}
	}
	if _, err := certs.Pool([]byte(b.CA)); err != nil {
		return fmt.Errorf("%w: ca: %w", ErrBootstrap, err)
	}
	if err := certs.CheckDeployment(b.Deployment); err != nil {
		return fmt.Errorf("%w: %w", ErrBootstrap, err)
	}
	switch {
	case b.Kind != api.KindManager && b.Kind != api.KindAgent:
		return fmt.Errorf("%w: kind %q is neither %s nor %s", ErrBootstrap, b.Kind, api.KindManager, api.KindAgent)
	case b.Node == "":
		return fmt.Errorf("%w: there is no node id", ErrBootstrap)
	case b.Token == "":
		return fmt.Errorf("%w: there is no join token", ErrBootstrap)
	case b.Issued.IsZero():
		return fmt.Errorf("%w: there is no issue time", ErrBootstrap)
	}
	return nil
}

// directorHost gives the host name of the director's URL, which is the name that its certificate must carry.
func directorHost(b api.Bootstrap) (string, error) {
	u, err := url.Parse(b.Director)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" {
		return "", fmt.Errorf("%w: director %q is not a URL like https://paas.example.org:5555", ErrBootstrap, b.Director)
	}
	return u.Hostname(), nil
}

// Clock gives the time to check certificates at: the machine's, but never earlier than the issue of its bootstrap data.
// A machine without a battery boots in 1970, and one that may not set its clock would then trust nobody; its time goes on
// from the issue.
func Clock(b api.Bootstrap) func() time.Time {
	start := time.Now()
	return func() time.Time {
		now := time.Now()
		if late := b.Issued.Add(now.Sub(start)); now.Before(b.Issued) { // the difference is not moved by a clock that is set
			return late
		}
		return now
	}
}

// strictJSON decodes a text that is one JSON document without unknown members.
func strictJSON(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the JSON document")
	}
	return nil
}
