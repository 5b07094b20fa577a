package httpapi_test

import (
	"net/http"
	"testing"
)

// A certificate opens an account only when this installation has issued it for that user, and it has neither ended nor been
// revoked. Routes that anybody may use stay open.
func TestForeignCertificatesOfUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for who, want := range map[string]int{
		"certified": http.StatusOK, "user expired": http.StatusUnauthorized, "user unlisted": http.StatusUnauthorized,
		"user otherca": http.StatusUnauthorized, "user elsewhere": http.StatusUnauthorized, "user unknown": http.StatusUnauthorized,
		"user exchanged": http.StatusUnauthorized, "usercert": http.StatusUnauthorized,
	} {
		if got := w.call(t, w.callers[who], request{method: http.MethodGet, path: "/v1/users/me"}); got.status != want {
			t.Errorf("%s: %d %.200s, want %d", who, got.status, got.body, want)
		}
		renew := request{method: http.MethodPost, path: "/v1/renew", body: w.requestBody(`{"csr":"$CSR"}`)}
		if got := w.call(t, w.callers[who], renew); got.status != want {
			t.Errorf("%s renews: %d %.200s, want %d", who, got.status, got.body, want)
		}
		if got := w.call(t, w.callers[who], request{method: http.MethodGet, path: "/v1/version"}); got.status != http.StatusOK {
			t.Errorf("%s asks for the version: %d", who, got.status)
		}
	}
}
