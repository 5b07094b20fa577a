package probe_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/vpn/probe"
)

// pair makes two key pairs and the secret between them, as each end computes it.
func pair(t *testing.T) (a, b probe.Key, ab, ba probe.Secret) {
	t.Helper()
	var private [2]*ecdh.PrivateKey
	for i := range private {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private[i] = key
	}
	a, b = probe.Key(private[0].PublicKey().Bytes()), probe.Key(private[1].PublicKey().Bytes())
	ab, err := probe.NewSecret(private[0], b)
	if err != nil {
		t.Fatal(err)
	}
	ba, err = probe.NewSecret(private[1], a)
	if err != nil {
		t.Fatal(err)
	}
	return a, b, ab, ba
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	a, b, ab, ba := pair(t)
	_, _, other, _ := pair(t)
	if ab != ba {
		t.Fatal("both ends must compute the same secret")
	}
	rapid.Check(t, func(t *rapid.T) {
		want := probe.Message{
			Kind: rapid.SampledFrom([]probe.Kind{probe.KindPing, probe.KindPong, probe.KindUnknown}).Draw(t, "kind"),
			From: a, To: b, Nonce: rapid.Uint64().Draw(t, "nonce"),
		}
		sealed := want.Seal(ab)
		got, ok := probe.Parse(sealed)
		if !ok || got != want || len(sealed) != probe.Size {
			t.Fatalf("%+v became %+v, %v, in %d bytes", want, got, ok, len(sealed))
		}
		if !probe.Verify(sealed, ba) || probe.Verify(sealed, other) {
			t.Fatal("only the secret of the two verifies the message")
		}
		sealed[rapid.IntRange(0, probe.Size-1).Draw(t, "position")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		if _, ok := probe.Parse(sealed); ok && probe.Verify(sealed, ba) {
			t.Fatal("a changed message verifies")
		}
	})
}

func TestParseKey(t *testing.T) {
	a, _, _, _ := pair(t)
	if got, err := probe.ParseKey(a.String()); err != nil || got != a {
		t.Errorf("ParseKey(%s) = %s, %v", a, got, err)
	}
	for _, text := range []string{"", "x", strings.Repeat("A", 43), a.String() + "=", " " + a.String(), strings.Repeat("A", 42) + "B="} {
		if k, err := probe.ParseKey(text); err == nil {
			t.Errorf("ParseKey(%q) = %s, want an error", text, k)
		}
	}
}

func TestAKeyWithoutSecretIsRefused(t *testing.T) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// The shared secret with this point is always zero, so anybody could make messages.
	if _, err := probe.NewSecret(key, probe.Key{}); err == nil {
		t.Error("a secret with the zero key")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(probe.Message{Kind: probe.KindPing, Nonce: 1}.Seal(probe.Secret{}))
	f.Add([]byte("CPP1"))
	f.Add(make([]byte, probe.Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := probe.Parse(b)
		if !ok {
			return
		}
		again, ok := probe.Parse(m.Seal(probe.Secret{}))
		if !ok || again != m {
			t.Errorf("%+v is parsed as %+v", m, again)
		}
	})
}
