package wg

import (
	"fmt"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// NewKey makes a key pair, both halves in base64 (44 characters).
func NewKey() (private, public string, err error) {
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		return "", "", fmt.Errorf("make an overlay key: %w", err)
	}
	return key.String(), key.PublicKey().String(), nil
}

// Public gives the public key of a private one, both in base64. The error never holds the key.
func Public(private string) (string, error) {
	key, err := wgtypes.ParseKey(private)
	if err != nil {
		return "", fmt.Errorf("overlay private key: want 32 bytes in base64")
	}
	return key.PublicKey().String(), nil
}
