package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Length of passwords in bytes. The upper bound keeps a request from costing more than another.
const (
	PasswordMin = 8
	PasswordMax = 1024
)

// ErrPassword is wrapped by the errors about a password that may not be chosen.
var ErrPassword = errors.New("password refused")

// ErrHash is wrapped by the error about a stored hash that cannot be read.
var ErrHash = errors.New("stored password hash is malformed")

// parameters of argon2id; memory in KiB.
type parameters struct {
	memory, time uint32
	threads      uint8
}

// present has the parameters of new hashes: the first choice of the OWASP password storage cheat sheet that fits a machine with
// little memory.
func present() parameters { return parameters{memory: 19 * 1024, time: 2, threads: 1} }

const (
	saltSize = 16
	hashSize = 32
)

// Passwords makes and checks hashes. It bounds how many are computed at once, since each takes 19 MiB.
type Passwords struct {
	params parameters
	slots  chan struct{}
	derive func(password, salt []byte, p parameters, size uint32) []byte
}

// NewPasswords gives a Passwords with the present parameters.
func NewPasswords() *Passwords {
	return &Passwords{params: present(), slots: make(chan struct{}, runtime.GOMAXPROCS(0)), derive: derive}
}

func derive(password, salt []byte, p parameters, size uint32) []byte {
	return argon2.IDKey(password, salt, p.time, p.memory, p.threads, size)
}

// CheckPassword tells whether a password may be chosen.
func CheckPassword(password string) error {
	if n := len(password); n < PasswordMin || n > PasswordMax {
		return fmt.Errorf("%w: it has %d bytes, want %d to %d", ErrPassword, n, PasswordMin, PasswordMax)
	}
	return nil
}

// Hash gives the argon2id hash of a password with a fresh salt, in PHC form. The error is ErrPassword or the context's.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	hash, err := p.compute(ctx, password, salt, p.params, hashSize)
	if err != nil {
		return "", err
	}
	return encode(p.params, salt, hash), nil
}

// Verify tells whether password is the one of the stored hash, and whether it should be hashed anew because the parameters have
// changed. For an unknown user pass "": the answer is no, and it takes as long. The error is ErrHash or the context's.
func (p *Passwords) Verify(ctx context.Context, stored, password string) (ok, rehash bool, err error) {
	params, salt, want := p.params, make([]byte, saltSize), []byte(nil)
	if stored != "" {
		if params, salt, want, err = decode(stored); err != nil {
			return false, false, err
		}
	}
	if len(password) > PasswordMax {
		password = "" // nobody has it, and it must not cost more
	}
	got, err := p.compute(ctx, password, salt, params, uint32(max(len(want), hashSize)))
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(got, want) == 1 && password != ""
	return ok, ok && (params != p.params || len(salt) != saltSize || len(want) != hashSize), nil
}

func (p *Passwords) compute(ctx context.Context, password string, salt []byte, params parameters, size uint32) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a turn to check a password: %w", ctx.Err())
	}
	return p.derive([]byte(password), salt, params, size), nil
}

func encode(p parameters, salt, hash []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads, b64(salt), b64(hash))
}

// decode reads what encode has written; it bounds everything, so that a damaged row cannot exhaust the memory.
func decode(stored string) (p parameters, salt, hash []byte, err error) {
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrHash, what) }
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, bad("want $argon2id$v=19$m=…,t=…,p=…$salt$hash")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, nil, nil, bad("unreadable parameters")
	}
	if fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.time, p.threads) != parts[3] ||
		p.memory < 8 || p.memory > 1<<20 || p.time < 1 || p.time > 16 || p.threads < 1 || p.threads > 16 {
		return p, nil, nil, bad("parameters out of range")
	}
	b64 := base64.RawStdEncoding.Strict()
	if salt, err = b64.DecodeString(parts[4]); err != nil || len(salt) < 8 || len(salt) > 64 {
		return p, nil, nil, bad("salt")
	}
	if hash, err = b64.DecodeString(parts[5]); err != nil || len(hash) < hashSize || len(hash) > 64 {
		return p, nil, nil, bad("hash")
	}
	return p, salt, hash, nil
}

// NewPassword makes a password for a person to type: four groups of five letters and digits that are not easily mistaken,
// 99 bits.
func NewPassword() string {
	const alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
	groups := make([]string, 4)
	for i := range groups {
		groups[i] = random(alphabet, 5)
	}
	return strings.Join(groups, "-")
}

func random(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			panic(err) // the system has no randomness: nothing that follows could be trusted
		}
		out[i] = alphabet[k.Int64()]
	}
	return string(out)
}
