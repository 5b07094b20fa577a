//go:build linux

package relay

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/replay"
	"golang.zx2c4.com/wireguard/tai64n"

	"conpaas/vpn/probe"
)

// The relay is a WireGuard responder and nothing else: it answers handshakes and reads keepalives, so that it
// knows which key is at which address. A whole device would have cost two goroutines and 25 kB for each node
// and would not have told who is where; the primitives (KDF, MACs, cookies, replay filter) are the device's.
// Message layouts and the order of the operations: WireGuard's paper, section 5.4.

var errHandshake = errors.New("not a valid handshake with this relay")

// identity is the relay's own key.
type identity struct {
	private *ecdh.PrivateKey
	public  probe.Key
	cookies device.CookieChecker
}

func newIdentity(private []byte) (*identity, error) {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, errors.New("relay: the private key has not 32 bytes")
	}
	id := &identity{private: key, public: probe.Key(key.PublicKey().Bytes())}
	id.cookies.Init(device.NoisePublicKey(id.public))
	return id, nil
}

// agree is the Diffie-Hellman function.
func agree(private *ecdh.PrivateKey, public []byte) ([]byte, error) {
	key, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return private.ECDH(key)
}

// initiation is a first message whose sender's static key has been read, but not yet believed.
type initiation struct {
	static      probe.Key
	ephemeral   [32]byte
	sender      uint32
	hash, chain [blake2s.Size]byte
	timestamp   []byte // sealed
}

// mixHash is the hash of h and data.
func mixHash(h [blake2s.Size]byte, data []byte) [blake2s.Size]byte {
	return blake2s.Sum256(append(h[:], data...))
}

func open(key [32]byte, sealed []byte, hash [blake2s.Size]byte) ([]byte, error) {
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, device.ZeroNonce[:], sealed, hash[:])
}

// readInitiation reads who claims to send a first message of 148 bytes.
func (id *identity) readInitiation(b []byte) (*initiation, error) {
	in := &initiation{sender: binary.LittleEndian.Uint32(b[4:]), timestamp: b[88:116]}
	copy(in.ephemeral[:], b[8:40])
	in.hash = mixHash(mixHash(device.InitialHash, id.public[:]), in.ephemeral[:])
	device.KDF1(&in.chain, device.InitialChainKey[:], in.ephemeral[:])
	shared, err := agree(id.private, in.ephemeral[:])
	if err != nil {
		return nil, errHandshake
	}
	var key [32]byte
	device.KDF2(&in.chain, &key, in.chain[:], shared)
	static, err := open(key, b[40:88], in.hash)
	if err != nil {
		return nil, errHandshake
	}
	in.static = probe.Key(static)
	in.hash = mixHash(in.hash, b[40:88])
	return in, nil
}

// confirm checks that the sender has the static key, shared being the relay's secret with it, and gives the
// time stamp that tells a fresh message from a replayed one.
func (in *initiation) confirm(shared []byte) (tai64n.Timestamp, error) {
	var key [32]byte
	device.KDF2(&in.chain, &key, in.chain[:], shared)
	stamp, err := open(key, in.timestamp, in.hash)
	if err != nil {
		return tai64n.Timestamp{}, errHandshake
	}
	in.hash = mixHash(in.hash, in.timestamp)
	return tai64n.Timestamp(stamp), nil
}

// respond makes the answer to a confirmed first message and the session that it begins.
func (in *initiation) respond(index uint32, now time.Time) ([]byte, *session, error) {
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	public := ephemeral.PublicKey().Bytes()
	hash, chain := mixHash(in.hash, public), in.chain
	device.KDF1(&chain, chain[:], public)
	for _, theirs := range [][]byte{in.ephemeral[:], in.static[:]} {
		shared, err := agree(ephemeral, theirs)
		if err != nil {
			return nil, nil, errHandshake
		}
		device.KDF1(&chain, chain[:], shared)
	}
	var tau, key [32]byte
	var noPreshared [32]byte
	device.KDF3(&chain, &tau, &key, chain[:], noPreshared[:])
	hash = mixHash(hash, tau[:])
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		return nil, nil, err
	}
	b := make([]byte, device.MessageResponseSize)
	binary.LittleEndian.PutUint32(b, device.MessageResponseType)
	binary.LittleEndian.PutUint32(b[4:], index)
	binary.LittleEndian.PutUint32(b[8:], in.sender)
	copy(b[12:], public)
	aead.Seal(b[44:44], device.ZeroNonce[:], nil, hash[:])
	var macs device.CookieGenerator
	macs.Init(device.NoisePublicKey(in.static))
	macs.AddMacs(b)

	var receive, send [32]byte
	device.KDF2(&receive, &send, chain[:], nil)
	opener, err := chacha20poly1305.New(receive[:])
	if err != nil {
		return nil, nil, err
	}
	return b, &session{index: index, opener: opener, began: now}, nil
}

// session is what the relay and a node have agreed on; only the node ever sends in it.
type session struct {
	index  uint32
	opener cipher.AEAD
	filter replay.Filter
	began  time.Time
}

// accept tells whether a transport message of at least 32 bytes was sealed in the session, now and for the
// first time.
func (s *session) accept(b []byte, now time.Time) bool {
	if now.Sub(s.began) > device.RejectAfterTime {
		return false
	}
	var nonce [chacha20poly1305.NonceSize]byte
	copy(nonce[4:], b[8:16])
	if _, err := s.opener.Open(nil, nonce[:], b[16:], nil); err != nil {
		return false
	}
	return s.filter.ValidateCounter(binary.LittleEndian.Uint64(b[8:]), device.RejectAfterMessages)
}

// macKey is the key of the first MAC of every handshake message for the holder of a public key.
func macKey(public probe.Key) [blake2s.Size]byte {
	return blake2s.Sum256(append([]byte(device.WGLabelMAC1), public[:]...))
}

// addressedTo tells whether a handshake message is meant for the holder of the key that mac belongs to.
func addressedTo(b []byte, mac [blake2s.Size]byte) bool {
	h, err := blake2s.New128(mac[:])
	if err != nil {
		panic(fmt.Sprintf("a BLAKE2s key of %d bytes", len(mac))) // only longer ones are refused
	}
	end := len(b) - 2*blake2s.Size128
	h.Write(b[:end])
	return string(h.Sum(nil)) == string(b[end:end+blake2s.Size128])
}
