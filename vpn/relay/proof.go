//go:build linux

package relay

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"conpaas/vpn/probe"
)

// Proof is what only the holder of one of two keys can say, private being one's own key and public the other one's, both in
// base64. Both ends compute the same, so that a relay shows with it that the key by which it is known is its own. It is
// as secret as a password: say it to the other end only.
func Proof(private, public string) (string, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(private)
	if err != nil {
		return "", errors.New("relay: the private key is not in base64")
	}
	own, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		return "", errors.New("relay: the private key has not 32 bytes")
	}
	key, err := probe.ParseKey(public)
	if err != nil {
		return "", fmt.Errorf("relay: %w", err)
	}
	shared, err := agree(own, key[:])
	if err != nil {
		return "", fmt.Errorf("relay: key %s: %w", public, err)
	}
	mac := hmac.New(sha256.New, shared)
	mac.Write([]byte("conpaas relay of the installation 1")) // keeps it apart from every other use of the two keys
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}
