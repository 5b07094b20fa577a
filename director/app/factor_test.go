package app_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// authenticator makes codes as a telephone does (RFC 6238), written apart from what checks them.
type authenticator struct {
	secret []byte
	now    func() time.Time
}

func (a authenticator) code(off time.Duration) api.Secret {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(a.now().Add(off).Unix()/30))
	mac := hmac.New(sha1.New, a.secret)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[19] & 15
	return api.Secret(fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1000000))
}

// ticking is a director whose clock stands until it is moved.
type ticking struct {
	*directortest.Director
	later atomic.Int64
}

func (d *ticking) now() time.Time        { return begin.Add(time.Duration(d.later.Load())) }
func (d *ticking) wait(by time.Duration) { d.later.Add(int64(by)) }

// begin is in the middle of a time step.
var begin = time.Now().UTC().Truncate(30 * time.Second).Add(15 * time.Second)

func startTicking(t *testing.T) *ticking {
	d := &ticking{}
	d.Director = start(t, directortest.Options{Now: d.now})
	return d
}

// enable gives a user a second factor.
func (d *ticking) enable(t *testing.T, a app.Actor) (authenticator, []api.Secret) {
	t.Helper()
	made := must[api.TOTPSecret](t)(d.BeginTOTP(t.Context(), a, "me", api.TOTPBegin{Password: secret}, here))
	raw := must[[]byte](t)(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(made.Secret.Reveal()))
	phone := authenticator{raw, d.now}
	codes := must[api.RecoveryCodes](t)(d.ConfirmTOTP(t.Context(), a, "me", api.TOTPConfirm{Code: phone.code(0)}, here))
	d.wait(time.Minute) // the code that has confirmed is used up
	return phone, codes.Codes
}

// login tells the code of the error, "" where it works.
func (d *ticking) login(t *testing.T, name string, password, code api.Secret, from string) api.Code {
	t.Helper()
	_, err := d.Login(t.Context(), api.Login{Username: name, Password: password, Code: code}, from)
	if api.CodeFrom(err) == api.CodeUnauthenticated && err.Error() != "wrong user name, password or code" {
		t.Errorf("the refusal tells more: %v", err)
	}
	return api.CodeFrom(err)
}

func TestSecondFactor(t *testing.T) {
	d := startTicking(t)
	ctx := t.Context()
	alice, bob := user(t, d.Director, "alice"), user(t, d.Director, "bob")
	token := tokenOf(t, d.Director, "alice", secret)
	must[api.TOTPSecret](t)(d.BeginTOTP(ctx, alice, "me", api.TOTPBegin{Password: secret}, here))
	tokenOf(t, d.Director, "alice", secret) // it does not count yet
	phone, _ := d.enable(t, alice)
	other, _ := d.enable(t, bob)
	if u := must[api.User](t)(d.User(ctx, alice, "me")); !u.TOTP {
		t.Error("the account does not show its second factor")
	}
	must[app.Actor](t)(d.Authenticate(ctx, token)) // tokens are not asked for codes
	used := phone.code(0)
	for i, c := range []struct {
		password, code api.Secret
		want           api.Code
	}{
		{secret, "", api.CodeSecondFactor},
		{"wrong", "", api.CodeSecondFactor}, // before the password is looked at
		{"wrong", used, api.CodeUnauthenticated},
		{secret, other.code(0), api.CodeUnauthenticated},
		{secret, used, ""}, // what was refused has not used it up
		{secret, used, api.CodeUnauthenticated},
		{secret, phone.code(-30 * time.Second), api.CodeUnauthenticated}, // older than one that was accepted
		{secret, phone.code(30 * time.Second), ""},
		{secret, phone.code(30 * time.Second), api.CodeUnauthenticated},
	} {
		if got := d.login(t, "alice", c.password, c.code, fmt.Sprintf("198.51.100.%d", i)); got != c.want {
			t.Errorf("login %d: %q, want %q", i, got, c.want)
		}
	}
	d.wait(5 * time.Minute)
	for off, want := range map[time.Duration]api.Code{-time.Minute: api.CodeUnauthenticated, time.Minute: api.CodeUnauthenticated} {
		if got := d.login(t, "alice", secret, phone.code(off), here); got != want {
			t.Errorf("code of a clock that is %v off: %q", off, got)
		}
	}
	if got := d.login(t, "alice", secret, phone.code(-30*time.Second), here); got != "" {
		t.Errorf("code of a clock that is a step late: %q", got)
	}
}

func TestRecoveryCodesOpenOnce(t *testing.T) {
	d := startTicking(t)
	alice, bob := user(t, d.Director, "alice"), user(t, d.Director, "bob")
	_, codes := d.enable(t, alice)
	_, others := d.enable(t, bob)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	for i, c := range []struct {
		code api.Secret
		want api.Code
	}{{codes[3], ""}, {codes[3], api.CodeUnauthenticated}, {codes[4], ""}, {others[0], api.CodeUnauthenticated}} {
		if got := d.login(t, "alice", secret, c.code, here); got != c.want {
			t.Errorf("recovery code %d: %q, want %q", i, got, c.want)
		}
	}
	if got := d.login(t, "bob", secret, others[0], here); got != "" {
		t.Errorf("a try by somebody else has used it up: %q", got)
	}
}

// Codes are guessed no faster than passwords, and guessing from elsewhere does not lock the owner out.
func TestGuessedCodesAreBraked(t *testing.T) {
	d := startTicking(t)
	phone, _ := d.enable(t, user(t, d.Director, "alice"))
	tries := 0
	for ; tries < 100; tries++ {
		if got := d.login(t, "alice", secret, api.Secret(fmt.Sprintf("x%05d", tries)), "203.0.113.9"); got == api.CodeThrottled {
			break
		} else if got != api.CodeUnauthenticated {
			t.Fatalf("guess %d: %q", tries, got)
		}
	}
	if tries > 10 {
		t.Errorf("%d guesses before the brake", tries)
	}
	if got := d.login(t, "alice", secret, phone.code(0), here); got != "" {
		t.Errorf("the owner is locked out: %q", got)
	}
}

// Which names exist cannot be told from who is asked for a code.
func TestUnknownNamesAreAskedForCodes(t *testing.T) {
	d := startTicking(t)
	asked := 0
	for i := range 200 {
		name := fmt.Sprintf("nobody%d", i)
		once := d.login(t, name, secret, "", fmt.Sprintf("10.0.%d.1", i))
		if again := d.login(t, name, secret, "", fmt.Sprintf("10.1.%d.1", i)); again != once {
			t.Fatalf("%s: %q, then %q", name, once, again)
		}
		if once == api.CodeSecondFactor {
			asked++
		}
		if got := d.login(t, name, secret, "123456", fmt.Sprintf("10.2.%d.1", i)); got != api.CodeUnauthenticated {
			t.Fatalf("%s with a code: %q", name, got)
		}
	}
	if asked < 60 || asked > 140 {
		t.Errorf("%d of 200 unknown names are asked for a code, want about half", asked)
	}
}

func TestWhoEndsASecondFactor(t *testing.T) {
	d := startTicking(t)
	ctx := t.Context()
	alice, bob := user(t, d.Director, "alice"), user(t, d.Director, "bob")
	_, err := d.BeginTOTP(ctx, alice, "me", api.TOTPBegin{Password: "wrong"}, here)
	fails(t, err, api.CodeInvalid, "password: ")
	_, err = d.BeginTOTP(ctx, d.Admin(), "alice", api.TOTPBegin{Password: secret}, here)
	fails(t, err, api.CodeForbidden, "only user")
	_, err = d.ConfirmTOTP(ctx, alice, "me", api.TOTPConfirm{Code: "123456"}, here)
	fails(t, err, api.CodeConflict, "no second factor was begun")
	phone, codes := d.enable(t, alice)
	_, err = d.BeginTOTP(ctx, alice, "me", api.TOTPBegin{Password: secret}, here)
	fails(t, err, api.CodeConflict, "already")
	_, err = d.ConfirmTOTP(ctx, alice, "me", api.TOTPConfirm{Code: phone.code(0)}, here)
	fails(t, err, api.CodeConflict, "already")
	fails(t, d.EndTOTP(ctx, bob, "alice", api.TOTPEnd{}, here), api.CodeNotFound, "alice")
	fails(t, d.EndTOTP(ctx, alice, "me", api.TOTPEnd{Password: secret}, here), api.CodeInvalid, "wrong password or code")
	fails(t, d.EndTOTP(ctx, alice, "me", api.TOTPEnd{Password: "wrong", Code: phone.code(0)}, here), api.CodeInvalid, "wrong password or code")
	if err := d.EndTOTP(ctx, alice, "me", api.TOTPEnd{Password: secret, Code: phone.code(0)}, here); err != nil {
		t.Fatal(err)
	}
	tokenOf(t, d.Director, "alice", secret)
	d.enable(t, alice)
	if got := d.login(t, "alice", secret, codes[0], here); got != api.CodeUnauthenticated {
		t.Errorf("a recovery code of the second factor before opens: %q", got)
	}
	if err := d.EndTOTP(ctx, d.Admin(), "alice", api.TOTPEnd{}, here); err != nil {
		t.Fatal(err)
	}
	tokenOf(t, d.Director, "alice", secret)
}
