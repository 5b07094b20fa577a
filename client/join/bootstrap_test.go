package join

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conpaas/certs/ca"
	"conpaas/client/api"
)

func goodBootstrap(t testing.TB) api.Bootstrap {
	t.Helper()
	a, err := ca.New("conpaas", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return api.Bootstrap{
		Director: "https://paas.example.org:5555", CA: string(a.CertificatePEM()), Deployment: "conpaas", Kind: api.KindManager,
		Node: "n12", Token: "secret", Issued: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Overlay: true, Code: api.CodePin{Version: "1.0", PublicKey: "key"},
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestReadBootstrap(t *testing.T) {
	b := goodBootstrap(t)
	path := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(path, append(encode(t, b), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadBootstrap(path); err != nil || got != b {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ReadBootstrap(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestParseBootstrapRefuses(t *testing.T) {
	for name, change := range map[string]func(*api.Bootstrap){
		"http":            func(b *api.Bootstrap) { b.Director = "http://paas.example.org:5555" },
		"no host":         func(b *api.Bootstrap) { b.Director = "https://:5555" },
		"a path":          func(b *api.Bootstrap) { b.Director = "https://paas.example.org:5555/x" },
		"a password":      func(b *api.Bootstrap) { b.Director = "https://u:p@paas.example.org:5555" },
		"a bad address":   func(b *api.Bootstrap) { b.Address = "10.0.0.1" },
		"no CA":           func(b *api.Bootstrap) { b.CA = "" },
		"no deployment":   func(b *api.Bootstrap) { b.Deployment = "" },
		"an unknown kind": func(b *api.Bootstrap) { b.Kind = "director" },
		"no node":         func(b *api.Bootstrap) { b.Node = "" },
		"no token":        func(b *api.Bootstrap) { b.Token = "" },
		"no issue time":   func(b *api.Bootstrap) { b.Issued = time.Time{} },
	} {
		b := goodBootstrap(t)
		change(&b)
		_, err := parseBootstrap(encode(t, b))
		if !errors.Is(err, ErrBootstrap) {
			t.Errorf("%s: error %v, want an ErrBootstrap", name, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the token is in the error %q", name, err)
		}
	}
	good := string(encode(t, goodBootstrap(t)))
	for name, text := range map[string]string{
		"nothing": "", "two documents": good + good, "an unknown member": `{"x":1,` + good[1:], "cut": good[:len(good)-9],
		"too long": strings.Repeat(" ", bootstrapMax) + good, "a list": "[]",
	} {
		if _, err := parseBootstrap([]byte(text)); !errors.Is(err, ErrBootstrap) {
			t.Errorf("%s: error %v, want an ErrBootstrap", name, err)
		}
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := api.Bootstrap{Issued: time.Now().Add(time.Hour)}
		late := Clock(b)
		if got := late(); !got.Equal(b.Issued) {
			t.Errorf("a late clock: certificates are checked at %s, want %s", got, b.Issued)
		}
		time.Sleep(30 * time.Minute)
		if got, want := late(), b.Issued.Add(30*time.Minute); !got.Equal(want) {
			t.Errorf("a late clock, later: certificates are checked at %s, want %s", got, want)
		}
		time.Sleep(time.Hour)
		if got := late(); !got.Equal(time.Now()) {
			t.Errorf("a clock that is right again: certificates are checked at %s", got)
		}
	})
}

func FuzzParseBootstrap(f *testing.F) {
	f.Add(encode(f, goodBootstrap(f)))
	f.Add([]byte(`{"director":"https://[::1]:5555","issued":"2030-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := parseBootstrap(text)
		if err != nil {
			return
		}
		again, err := parseBootstrap(encode(t, b))
		if err != nil || !again.Issued.Equal(b.Issued) || again.Director != b.Director || again.Token != b.Token {
			t.Fatalf("%+v is read again as %+v, %v", b, again, err)
		}
	})
}
