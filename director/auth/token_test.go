package auth

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"conpaas/client/api"
)

func TestTokens(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		token, hash := NewToken()
		if !regexp.MustCompile(`^cps_[0-9A-Za-z]{43}$`).MatchString(token.Reveal()) {
			t.Fatalf("token %q", token.Reveal())
		}
		again, ok := HashToken(token)
		if !ok || again != hash || len(hash) != 64 || seen[hash] {
			t.Fatalf("hash %q, then %q (%v)", hash, again, ok)
		}
		seen[hash] = true
	}
}

func TestWhatIsNoToken(t *testing.T) {
	token, _ := NewToken()
	text := token.Reveal()
	for _, wrong := range []string{"", "cps_", text[4:], text + "0", text[:len(text)-1], "CPS_" + text[4:], strings.Replace(text, "_", "-", 1), text[:46] + "é"[:1], text[:46] + " "} {
		if hash, ok := HashToken(api.Secret(wrong)); ok || hash != "" {
			t.Errorf("%q is taken for a token", wrong)
		}
	}
}

func TestTokenDoesNotPrint(t *testing.T) {
	token, _ := NewToken()
	if got := fmt.Sprintf("%s %v %#v", token, token, token); strings.Contains(got, token.Reveal()[4:]) {
		t.Errorf("the token prints as %s", got)
	}
}
