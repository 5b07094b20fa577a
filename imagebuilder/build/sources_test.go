package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// apt makes a directory like /etc/apt with the files of a map.
func apt(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func main(uri, suite string, change ...func(*Source)) Source {
	s := Source{URI: uri, Suite: suite, Components: []string{"main"}}
	for _, c := range change {
		c(&s)
	}
	return s
}

func signedBy(key string) func(*Source) { return func(s *Source) { s.SignedBy = key } }

func TestHostSources(t *testing.T) {
	public := Sources{
		main(defaultMirror, "bookworm", signedBy(debianKeyring)), main(defaultMirror, "bookworm-updates", signedBy(debianKeyring)),
		main(defaultSecurity, "bookworm-security", signedBy(debianKeyring)),
	}
	for _, tt := range []struct {
		name    string
		files   map[string]string
		want    Sources
		missing bool
	}{
		{"no file", nil, public, false},
		{"Ubuntu", map[string]string{"sources.list": "deb http://archive.ubuntu.com/ubuntu noble main universe\n"}, public, false},
		{
			"the official image",
			map[string]string{"sources.list.d/debian.sources": `Types: deb
# http://snapshot.example.org/
URIs: http://m.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://m.example.org/debian-security/
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`},
			Sources{
				main("http://m.example.org/debian", "bookworm", signedBy(debianKeyring)), main("http://m.example.org/debian", "bookworm-updates", signedBy(debianKeyring)),
				main("http://m.example.org/debian-security/", "bookworm-security", signedBy(debianKeyring)),
			},
			false,
		},
		{
			"one-line form, with options",
			map[string]string{"sources.list": `
# deb http://commented.example.org/debian bookworm main
deb-src http://source.example.org/debian bookworm main
deb [ arch=amd64 trusted=yes ] http://m.example.org/debian bookworm main non-free # fast
deb	[signed-by=/k.gpg]	http://s.example.org/x bookworm-security main
`},
			Sources{main("http://m.example.org/debian", "bookworm", func(s *Source) { s.Trusted = true }), main("http://s.example.org/x", "bookworm-security", signedBy("/k.gpg"))},
			false,
		},
		{
			"no security updates",
			map[string]string{"sources.list": "deb http://m.example.org/frozen bookworm main\n"},
			Sources{main("http://m.example.org/frozen", "bookworm")},
			true,
		},
		{
			"another release lends its mirrors",
			map[string]string{"sources.list": "deb http://m.example.org/debian trixie main\ndeb http://s.example.org/debian-security trixie-security main\n"},
			Sources{
				main("http://m.example.org/debian", "bookworm", signedBy(debianKeyring)), main("http://m.example.org/debian", "bookworm-updates", signedBy(debianKeyring)),
				main("http://s.example.org/debian-security", "bookworm-security", signedBy(debianKeyring)),
			},
			false,
		},
		{
			"disabled, and of others",
			map[string]string{
				"sources.list.d/a.sources":                "Enabled: no\nTypes: deb\nURIs: http://off.example.org/debian\nSuites: bookworm\nComponents: main\n",
				"sources.list.d/b.list":                   "deb https://tools.example.org/apt nodistro main\ndeb http://c.example.org/debian bookworm contrib\n",
				"sources.list.d/c.list.disabled-by-admin": "deb http://off.example.org/debian bookworm main\n",
				"sources.list.d/d.sources":                "Types: deb\nURIs: http://m.example.org/debian\nSuites: bookworm bookworm-security\nComponents: main\nTrusted: yes\n",
			},
			Sources{
				main("http://m.example.org/debian", "bookworm", func(s *Source) { s.Trusted = true }),
				main("http://m.example.org/debian", "bookworm-security", func(s *Source) { s.Trusted = true }),
			},
			false,
		},
		{
			"a key in the file",
			map[string]string{"sources.list.d/d.sources": "Types: deb\nURIs: http://m.example.org/debian\nSuites: bookworm bookworm-security\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n -----END PGP-----\n"},
			Sources{
				main("http://m.example.org/debian", "bookworm", signedBy("-----BEGIN PGP-----\n\nabc\n-----END PGP-----")),
				main("http://m.example.org/debian", "bookworm-security", signedBy("-----BEGIN PGP-----\n\nabc\n-----END PGP-----")),
			},
			false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, missing, err := HostSources(apt(t, tt.files))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("sources differ:\n%s", d)
			}
			if (missing != "") != tt.missing {
				t.Errorf("missing: %q", missing)
			}
		})
	}
}

func TestMirrorSources(t *testing.T) {
	got, err := MirrorSources("https://m.example.org/debian/", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].URI != "https://m.example.org/debian" || got[2].URI != "https://m.example.org/debian-security" {
		t.Errorf("sources %+v", got)
	}
	if got, err = MirrorSources("https://m.example.org/x", "https://m.example.org/y"); err != nil || got[2].URI != "https://m.example.org/y" {
		t.Errorf("sources %+v, %v", got, err)
	}
	for _, bad := range []string{"https://m.example.org/x", "m.example.org/debian", "ssh://m.example.org/debian", "http://m.example.org/ main\ndeb http://x/debian"} {
		if got, err := MirrorSources(bad, ""); err == nil {
			t.Errorf("%q gives %+v", bad, got)
		}
	}
	if _, err := got.WithSecurity("nothing"); err == nil {
		t.Error("any text is a security mirror")
	}
}

func TestSourceLines(t *testing.T) {
	s := Sources{
		main("http://user:word@m.example.org/debian", "bookworm", signedBy("/k.gpg"), func(s *Source) { s.Trusted = true }),
		main("file:/srv/debian", "bookworm-updates"), main("copy:/srv/debian", "bookworm-security", signedBy("-----BEGIN")),
	}
	var keys []string
	text, err := s.build(func(key string) (string, error) {
		keys = append(keys, key)
		return "/keys/key.asc", nil
	})
	want := `deb [trusted=yes signed-by=/k.gpg] http://user:word@m.example.org/debian bookworm main
deb file:/srv/debian bookworm-updates main
deb [signed-by=/keys/key.asc] copy:/srv/debian bookworm-security main
`
	if err != nil || text != want || len(keys) != 1 || keys[0] != "-----BEGIN" {
		t.Errorf("for the build:\n%s%v, keys %q", text, err, keys)
	}
	want = `deb http://m.example.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
`
	if got := s.image(); got != want {
		t.Errorf("for the image:\n%s", got)
	}
}

func FuzzSources(f *testing.F) {
	f.Add("deb [a=b] http://x/debian bookworm main\n", "Types: deb\nURIs: http://x/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n .\n x\n")
	f.Fuzz(func(t *testing.T, list, stanzas string) {
		for _, s := range append(parseList(list), parseStanzas(stanzas)...) {
			if s.URI == "" || s.Suite == "" || strings.ContainsAny(s.URI+s.Suite+strings.Join(s.Components, ""), " \n") {
				t.Fatalf("source %+v", s)
			}
		}
	})
}
