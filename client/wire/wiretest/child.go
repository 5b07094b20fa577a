package wiretest

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Child is a manager or an agent under attack by its parent, whom it must obey.
type Child struct {
	Client   *wire.Client
	Document []byte
	Values   map[string]string
	Bodies   map[string]string
	Epoch    api.Epoch // of the parent; each change has a higher revision
	Private  []string
	Few      int
}

// Attack sends every hostile request and checks every answer. It gives the epoch that the child has heard last.
func (c Child) Attack(t *testing.T) api.Epoch {
	t.Helper()
	var revision atomic.Uint64
	revision.Store(c.Epoch.Revision)
	target := Target{
		Document: c.Document, Values: c.Values, Bodies: c.Bodies, Few: c.Few, Seed: 1, Private: c.Private, Lenient: true,
		Headers: []string{api.HeaderProtocol, api.HeaderRequestID},
		Send: func(_ Operation, r *http.Request, _ bool) (*http.Response, error) {
			epoch := c.Epoch
			epoch.Revision = revision.Add(1)
			given := r.Header.Clone()
			wire.WithEpoch(epoch)(r)
			for name, values := range given {
				r.Header[name] = values
			}
			base, err := url.Parse(c.Client.Base)
			if err != nil {
				return nil, err
			}
			r.URL.Scheme, r.URL.Host = base.Scheme, base.Host
			return c.Client.HTTP.Do(r)
		},
		May: func(_ Operation, status int) bool {
			return status == http.StatusNotImplemented || status == http.StatusServiceUnavailable
		},
	}
	t.Logf("%d hostile requests", target.Attack(t))
	c.epochs(t)
	epoch := c.Epoch
	epoch.Revision = revision.Add(1)
	return epoch
}

// epochs sends epochs that are none.
func (c Child) epochs(t *testing.T) {
	t.Helper()
	for _, name := range []string{api.HeaderFence, api.HeaderIncarnation, api.HeaderRevision, api.HeaderProtocol} {
		for _, value := range []string{"", " ", "-1", "+1", "1.0", "1e9", "0x1", "1_0", "x", "18446744073709551616", "\xff", "１"} {
			_, err := wire.Call[struct{}](t.Context(), c.Client, http.MethodGet, "/v1/metrics", nil, wire.WithEpoch(c.Epoch), wire.WithHeader(name, value))
			if refused, ok := err.(*api.Error); !ok || refused.Code != api.CodeInvalid || refused.Field != name {
				t.Errorf("%s: %q: %v", name, value, err)
			}
		}
	}
}
