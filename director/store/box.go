package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/google/renameio/v2"
)

const (
	keySize    = 32
	boxVersion = 1
)

// box seals what must not be read from a stolen database, with AES-256-GCM and keys derived from the key file.
type box struct {
	path string
	aead cipher.AEAD
	mac  []byte // key of derive
}

// openBox reads the key file, or makes it when it is missing and may be made. A key that is made anew beside an
// existing database would make all of its secrets unreadable for ever.
func openBox(path string, mayMake bool) (*box, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && mayMake:
		if err := makeKeyFile(path); err != nil {
			return nil, err
		}
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%w %s is missing, and without it the secrets in the database cannot be read; restore it from the backup", ErrKeyFile, path)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w %s can be read by others (mode %o); chmod 600 it, and consider its secrets known", ErrKeyFile, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%w %s does not hold %d hexadecimal digits; restore it from the backup", ErrKeyFile, path, 2*keySize)
	}
	return newBox(path, key)
}

func makeKeyFile(path string) error {
	key := make([]byte, keySize)
	rand.Read(key)
	if err := renameio.WriteFile(path, []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
		return fmt.Errorf("make the %w: %w", ErrKeyFile, err)
	}
	return nil
}

func newBox(path string, key []byte) (*box, error) {
	sealKey, err := hkdf.Key(sha256.New, key, nil, "conpaas seal", keySize)
	if err != nil {
		return nil, err
	}
	mac, err := hkdf.Key(sha256.New, key, nil, "conpaas derive", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealKey)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &box{path: path, aead: aead, mac: mac}, nil
}

// seal encrypts data for the place that name says: version byte, nonce, ciphertext. It opens at no other place, so
// that rows cannot be exchanged.
func (b *box) seal(name string, data []byte) []byte {
	out := make([]byte, 1+b.aead.NonceSize(), 1+b.aead.NonceSize()+len(data)+b.aead.Overhead())
	out[0] = boxVersion
	rand.Read(out[1:])
	return b.aead.Seal(out, out[1:], data, []byte(name))
}

func (b *box) open(name string, sealed []byte) ([]byte, error) {
	n := 1 + b.aead.NonceSize()
	if len(sealed) < n || sealed[0] != boxVersion {
		return nil, fmt.Errorf("%w: %s is no sealed secret", ErrDamaged, name)
	}
	data, err := b.aead.Open(nil, sealed[1:n], sealed[n:], []byte(name))
	if err != nil {
		return nil, fmt.Errorf("%w: %s does not open %s: it belongs to another database, or the row was changed", ErrKeyFile, b.path, name)
	}
	return data, nil
}

// derive gives a secret that can be made again from its name, and only with the key file.
func (b *box) derive(name string) string {
	m := hmac.New(sha256.New, b.mac)
	m.Write([]byte(name))
	return hex.EncodeToString(m.Sum(nil))
}
