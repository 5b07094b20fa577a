package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238: what every authenticator speaks; the construction does not rest on collisions
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"conpaas/client/api"
)

// The kind of code that authenticators have without being told otherwise: RFC 6238 with SHA-1.
const (
	totpDigits = 6
	totpPeriod = 30 * time.Second
	totpSkew   = 1  // steps that a clock may be wrong by, either way
	totpSecret = 20 // bytes, as RFC 4226 recommends
)

// recoveryCodes is how many of them a user gets.
const recoveryCodes = 10

// NewTOTPSecret makes the secret of a second factor.
func NewTOTPSecret() []byte {
	secret := make([]byte, totpSecret)
	rand.Read(secret)
	return secret
}

// TOTPText gives a secret as people type it into an authenticator: base 32 without padding.
func TOTPText(secret []byte) api.Secret {
	return api.Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret))
}

// TOTPURL gives the otpauth URL by which an authenticator takes a secret over.
func TOTPURL(issuer, account string, secret []byte) api.Secret {
	query := url.Values{
		"secret": {TOTPText(secret).Reveal()}, "issuer": {issuer}, "algorithm": {"SHA1"},
		"digits": {strconv.Itoa(totpDigits)}, "period": {strconv.Itoa(int(totpPeriod / time.Second))},
	}
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account, RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20")}
	return api.Secret(u.String())
}

// TOTPStep gives the time step whose code this is, at most one step from now; ok is false for a wrong code. Whether the step
// has been used is for the caller to know.
func TOTPStep(secret []byte, code api.Secret, now time.Time) (step int64, ok bool) {
	typed := []byte(strings.ReplaceAll(code.Reveal(), " ", ""))
	present := now.Unix() / int64(totpPeriod/time.Second)
	for s := present - totpSkew; s <= present+totpSkew; s++ { // all of them, so that the time does not tell
		if subtle.ConstantTimeCompare(typed, totpCode(secret, s)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// totpCode is RFC 4226, 5.3, with the time step as counter.
func totpCode(secret []byte, step int64) []byte {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, step) // a hash takes everything
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[at:at+4]) & 0x7fffffff
	return fmt.Appendf(nil, "%0*d", totpDigits, number%1_000_000)
}

// NewRecoveryCodes makes the codes that open an account in the place of its second factor, each once, 99 bits each.
func NewRecoveryCodes() []api.Secret {
	codes := make([]api.Secret, recoveryCodes)
	for i := range codes {
		codes[i] = api.Secret(NewPassword())
	}
	return codes
}

// HashRecoveryCode gives the hash (SHA-256, hexadecimal) under which a recovery code is stored. As with tokens a fast hash
// will do.
func HashRecoveryCode(code api.Secret) string {
	sum := sha256.Sum256([]byte("recovery " + strings.ToLower(strings.TrimSpace(code.Reveal()))))
	return hex.EncodeToString(sum[:])
}
