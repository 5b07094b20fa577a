package auth

import (
	"net/url"
	"testing"
	"time"

	"conpaas/client/api"
)

// The times and codes of RFC 6238, appendix B, in their last six digits.
func TestTOTPVectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]api.Secret{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		for _, c := range []struct {
			off  time.Duration
			want bool
		}{{0, true}, {-30 * time.Second, true}, {30 * time.Second, true}, {-90 * time.Second, false}, {61 * time.Second, false}} {
			step, ok := TOTPStep(secret, code, time.Unix(at, 0).Add(c.off))
			if ok != c.want || ok && step != at/30 {
				t.Errorf("code of %d, %v later: step %d, %v", at, c.off, step, ok)
			}
		}
	}
	for _, wrong := range []api.Secret{"", "28708", "2870820", "abcdef", "0000000"} {
		if _, ok := TOTPStep(secret, wrong, time.Unix(59, 0)); ok {
			t.Errorf("%q is a code", wrong)
		}
	}
	if _, ok := TOTPStep(secret, "287 082", time.Unix(59, 0)); !ok {
		t.Error("the code with the space that authenticators show is refused")
	}
	if _, ok := TOTPStep([]byte("09876543210987654321"), "287082", time.Unix(59, 0)); ok {
		t.Error("the code of another secret is taken")
	}
}

func TestTOTPURL(t *testing.T) {
	text := TOTPURL("con paas", "alice & bob", []byte("12345678901234567890")).Reveal()
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/con paas:alice & bob" {
		t.Fatalf("%s: %v", text, err)
	}
	if q := u.Query(); q.Get("secret") != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" || q.Get("issuer") != "con paas" {
		t.Errorf("%s has the query %v", text, q)
	}
}

func TestRecoveryCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range NewRecoveryCodes() {
		seen[HashRecoveryCode(code)] = true
		if HashRecoveryCode(" "+code+"\n") != HashRecoveryCode(code) {
			t.Error("spaces around a code count")
		}
	}
	if len(seen) != recoveryCodes {
		t.Errorf("%d codes, want %d", len(seen), recoveryCodes)
	}
}
