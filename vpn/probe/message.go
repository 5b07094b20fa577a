// Package probe asks, beside WireGuard and without disturbing it, whether a path to a peer works: small
// authenticated datagrams that leave from and arrive at the very port that WireGuard uses, so that firewalls
// and NATs treat them as they treat it. A relay forwards them like sealed datagrams. It also hears who begins a WireGuard
// handshake at that port.
//
// It knows keys, addresses and time. It knows nothing of WireGuard devices, does not choose paths and keeps
// no record of what it has asked.
package probe

import (
	"crypto/ecdh"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/blake2s"
)

// Key is a WireGuard public key.
type Key [32]byte

// ParseKey reads a key in base64.
func ParseKey(text string) (k Key, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(k) {
		return Key{}, errors.New("overlay key: want 32 bytes in base64")
	}
	return Key(b), nil
}

// String gives the key in base64.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// Secret authenticates the messages between two keys; both ends compute the same.
type Secret [blake2s.Size]byte

// NewSecret derives the secret between a private and a public key. The text keeps it apart from every other
// use of the two keys.
func NewSecret(private *ecdh.PrivateKey, public Key) (Secret, error) {
	point, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return Secret{}, fmt.Errorf("overlay key %s: %w", public, err)
	}
	shared, err := private.ECDH(point)
	if err != nil {
		return Secret{}, fmt.Errorf("overlay key %s: %w", public, err)
	}
	h, err := blake2s.New256(shared)
	if err != nil {
		return Secret{}, err
	}
	h.Write([]byte("conpaas overlay path probe 1"))
	return Secret(h.Sum(nil)), nil
}

// Kind is what a message says.
type Kind byte

// The kinds of messages. They all have the same size, so that nobody can be made to send more than he gets.
const (
	KindPing    Kind = 1 // do you hear me?
	KindPong    Kind = 2 // I do; from a relay: and others reach you through me
	KindUnknown Kind = 3 // from a relay: I do, but nobody reaches you through me, for you are not registered at this address
)

// Message is one datagram. Its layout is: magic (4 bytes), kind (1), zero (3), from (32), to (32), nonce
// (8, big-endian), MAC (16, BLAKE2s-128 of all before it, keyed with the secret of from and to).
type Message struct {
	Kind     Kind
	From, To Key
	Nonce    uint64 // of a ping; its answer repeats it
}

// Size is the length of every message, bytes.
const Size = 96

const (
	magic   = "CPP1" // no WireGuard message begins like this, so its devices drop ours unread
	macFrom = Size - blake2s.Size128
)

// How the first message of a WireGuard handshake begins, and its length.
const (
	initiation     = "\x01\x00\x00\x00"
	initiationSize = 148
)

// IsProbe tells whether a datagram claims to be a message of this package.
func IsProbe(b []byte) bool { return len(b) == Size && string(b[:4]) == magic }

// isInitiation tells whether a datagram looks like the first message of a WireGuard handshake.
func isInitiation(b []byte) bool { return len(b) == initiationSize && string(b[:4]) == initiation }

// Seal makes the datagram of a message.
func (m Message) Seal(s Secret) []byte {
	b := make([]byte, Size)
	copy(b, magic)
	b[4] = byte(m.Kind)
	copy(b[8:], m.From[:])
	copy(b[40:], m.To[:])
	binary.BigEndian.PutUint64(b[72:], m.Nonce)
	mac(b, s, b[:macFrom])
	return b
}

// Parse reads a datagram without checking who made it; see Verify. ok is false for what is no message.
func Parse(b []byte) (m Message, ok bool) {
	if !IsProbe(b) || b[5] != 0 || b[6] != 0 || b[7] != 0 {
		return Message{}, false
	}
	m = Message{Kind: Kind(b[4]), From: Key(b[8:40]), To: Key(b[40:72]), Nonce: binary.BigEndian.Uint64(b[72:])}
	return m, m.Kind >= KindPing && m.Kind <= KindUnknown
}

// Verify tells whether a datagram that Parse has accepted was made by somebody who has the secret.
func Verify(b []byte, s Secret) bool {
	got := make([]byte, Size)
	mac(got, s, b[:macFrom])
	return hmac.Equal(got[macFrom:], b[macFrom:])
}

// mac writes the MAC of data to its place in b.
func mac(b []byte, s Secret, data []byte) {
	h, err := blake2s.New128(s[:])
	if err != nil {
		panic(err) // only for keys that are too long, which the type rules out
	}
	h.Write(data)
	h.Sum(b[:macFrom])
}
