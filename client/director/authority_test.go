package director_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/director"
)

func TestParseURL(t *testing.T) {
	for in, want := range map[string]string{
		"director.example.org":              "https://director.example.org:5555",
		"director.example.org:443":          "https://director.example.org:443",
		"https://director.example.org/":     "https://director.example.org:5555",
		"https://director.example.org:5555": "https://director.example.org:5555",
		"[::1]:5555":                        "https://[::1]:5555",
		"127.0.0.1":                         "https://127.0.0.1:5555",
		"http://director.example.org":       "",
		"https://user:pw@example.org":       "",
		"https://example.org/path":          "",
		"https://example.org?x=1":           "",
		"":                                  "",
		"https://":                          "",
		"a b":                               "",
		"::1":                               "",
	} {
		got, err := director.ParseURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseURL(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("director.example.org:5555")
	f.Add("https://[::1%25eth0]:1/")
	f.Fuzz(func(t *testing.T, text string) {
		full, err := director.ParseURL(text)
		if err != nil {
			return
		}
		if again, err := director.ParseURL(full); err != nil || again != full {
			t.Errorf("ParseURL(%q) = %q, which becomes %q, %v", text, full, again, err)
		}
	})
}

func TestFingerprints(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	a, err := director.ParseAuthority(caOf(s))
	if err != nil {
		t.Fatal(err)
	}
	print := a.Fingerprints[0]
	for _, spelling := range []string{print, strings.ToLower(print), strings.TrimPrefix(print, "SHA256:"), strings.ReplaceAll(print[7:], ":", "")} {
		if err := director.CheckFingerprint(spelling); err != nil {
			t.Error(err)
		}
		if only, ok := a.Only(spelling); !ok || !only.Within(a) {
			t.Errorf("%s is not found", spelling)
		}
	}
	if _, ok := a.Only(strings.Repeat("AB", 32)); ok {
		t.Error("a wrong fingerprint is found")
	}
	if a.Within(director.Authority{}) {
		t.Error("a CA is taken for one of none")
	}
	for _, wrong := range []string{"", "SHA256:", "AB:CD", strings.Repeat("XY", 32)} {
		if director.CheckFingerprint(wrong) == nil {
			t.Errorf("%q is taken for a fingerprint", wrong)
		}
	}
}

func TestFetchAuthorityNeedsADirector(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no such page":   http.NotFound,
		"no certificate": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"sends away":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		s := httptest.NewServer(h)
		_, err := director.FetchAuthority(t.Context(), strings.Replace(s.URL, "http:", "https:", 1))
		if err == nil || !strings.Contains(err.Error(), "is it a director?") {
			t.Errorf("%s: got %v", name, err)
		}
		s.Close()
	}
	if _, err := director.FetchAuthority(t.Context(), "https://127.0.0.1:1"); api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}
