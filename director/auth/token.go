package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"
	"time"

	"conpaas/client/api"
)

// TokenLife is how long a token is good after a login.
const TokenLife = 24 * time.Hour

const (
	tokenPrefix = "cps_" // lets scanners of repositories and logs find lost tokens
	tokenBytes  = 32
	tokenDigits = 43 // of base 62 for 32 bytes
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewToken makes a token of 256 random bits, cps_ and 43 letters and digits, and the hash under which it is stored.
func NewToken() (token api.Secret, hash string) {
	raw := make([]byte, tokenBytes)
	rand.Read(raw)
	number, digits := new(big.Int).SetBytes(raw), make([]byte, tokenDigits)
	base, digit := big.NewInt(int64(len(base62))), new(big.Int)
	for i := tokenDigits - 1; i >= 0; i-- {
		number.DivMod(number, base, digit)
		digits[i] = base62[digit.Int64()]
	}
	token = api.Secret(tokenPrefix + string(digits))
	return token, hashToken(token)
}

// HashToken gives the hash (SHA-256, hexadecimal) under which a token is stored; ok is false for what cannot be a token. A
// fast hash will do: there is no guessing of 256 bits.
func HashToken(token api.Secret) (hash string, ok bool) {
	digits, found := strings.CutPrefix(token.Reveal(), tokenPrefix)
	if !found || len(digits) != tokenDigits || strings.Trim(digits, base62) != "" {
		return "", false
	}
	return hashToken(token), true
}

func hashToken(token api.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}
