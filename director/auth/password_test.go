package auth

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
)

// cheap makes a Passwords with parameters that cost nothing, and counts computations.
func cheap(computed *int) *Passwords {
	p := NewPasswords()
	p.params = parameters{memory: 8, time: 1, threads: 1}
	p.derive = func(password, salt []byte, params parameters, size uint32) []byte {
		*computed++
		return derive(password, salt, params, size)
	}
	return p
}

func TestPasswordIsVerified(t *testing.T) {
	p := NewPasswords()
	ctx := t.Context()
	hash, err := p.Hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(hash) {
		t.Errorf("hash %q", hash)
	}
	if again, _ := p.Hash(ctx, "correct horse"); again == hash {
		t.Error("two hashes have the same salt")
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false, strings.Repeat("x", PasswordMax+1): false} {
		ok, rehash, err := p.Verify(ctx, hash, password)
		if ok != want || rehash || err != nil {
			t.Errorf("verify %q: %v, rehash %v, %v", password, ok, rehash, err)
		}
	}
}

// The vector is of the reference implementation: argon2id, t=2, m=64 KiB, p=1, "password", salt "somesalt".
func TestForeignHashIsVerifiedAndRehashed(t *testing.T) {
	p := NewPasswords()
	ok, rehash, err := p.Verify(t.Context(), "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password")
	if !ok || !rehash || err != nil {
		t.Errorf("ok %v, rehash %v, %v", ok, rehash, err)
	}
}

func TestUnknownUserCostsTheSame(t *testing.T) {
	var computed int
	p := cheap(&computed)
	hash, err := p.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for stored, password := range map[string]string{hash: "wrong", "": "correct horse", " ": ""} {
		computed = 0
		ok, _, _ := p.Verify(t.Context(), strings.TrimSpace(stored), password)
		if ok || computed != 1 {
			t.Errorf("verify %q against %q: %v after %d computations", password, stored, ok, computed)
		}
	}
}

// Nobody gets in with nothing, whatever hash is stored; a password that is too long counts as nothing.
func TestEmptyPasswordNeverVerifies(t *testing.T) {
	var computed int
	p := cheap(&computed)
	salt := []byte("somesaltsomesalt")
	hash, err := p.compute(t.Context(), "", salt, p.params, hashSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"", strings.Repeat("x", PasswordMax+1)} {
		if ok, _, err := p.Verify(t.Context(), encode(p.params, salt, hash), password); ok || err != nil {
			t.Errorf("%d bytes: %v, %v", len(password), ok, err)
		}
	}
}

func TestMalformedHashes(t *testing.T) {
	var computed int
	p := cheap(&computed)
	good := "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, change := range [][2]string{
		{"argon2id", "argon2i"},
		{"v=19", "v=16"},
		{"m=65536", "m=4294967295"},
		{"m=65536", "m=0"},
		{"t=2", "t=99"},
		{"p=1", "p=0"},
		{"p=1", "p=300"},
		{"t=2", "t=02"},
		{"p=1", "p=1,x=1"},
		{"c29tZXNhbHQ", "c29t"},
		{"c29tZXNhbHQ", "?"},
		{"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", ""},
		{"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "CTFh"},
		{"$", ""},
		{good, "md5"},
	} {
		stored := strings.Replace(good, change[0], change[1], 1)
		if ok, _, err := p.Verify(t.Context(), stored, "password"); ok || !errors.Is(err, ErrHash) {
			t.Errorf("%s: %v, %v", stored, ok, err)
		}
	}
	if computed != 0 {
		t.Errorf("%d malformed hashes were computed", computed)
	}
}

func TestPasswordsThatMayNotBeChosen(t *testing.T) {
	var computed int
	p := cheap(&computed)
	for password, good := range map[string]bool{
		"": false, "1234567": false, "12345678": true, strings.Repeat("x", PasswordMax): true, strings.Repeat("x", PasswordMax+1): false,
	} {
		if _, err := p.Hash(t.Context(), password); good != (err == nil) || !good && !errors.Is(err, ErrPassword) {
			t.Errorf("%d bytes: %v", len(password), err)
		}
	}
}

func TestComputationsAreBounded(t *testing.T) {
	p := NewPasswords()
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := p.Verify(ctx, "", "password"); !errors.Is(err, context.Canceled) {
		t.Errorf("beyond the bound: %v", err)
	}
}

func TestNewPassword(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		password := NewPassword()
		if !regexp.MustCompile(`^([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}$`).MatchString(password) || seen[password] || CheckPassword(password) != nil {
			t.Fatalf("password %q", password)
		}
		seen[password] = true
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, stored string) {
		p, salt, hash, err := decode(stored)
		if err == nil && encode(p, salt, hash) != stored {
			t.Errorf("%q reads as %q", stored, encode(p, salt, hash))
		}
	})
}
