package build

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"conpaas/imagebuilder/recipe"
)

// The archive that is used where the host names none.
const (
	defaultMirror   = "http://deb.debian.org/debian"
	defaultSecurity = "http://deb.debian.org/debian-security"
	debianKeyring   = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// Source is one place to take packages from.
type Source struct {
	URI        string
	Suite      string   // for example bookworm-security
	Components []string // for example main
	SignedBy   string   // path of a keyring, or the key itself; "": the keys that apt trusts on this host
	Trusted    bool     // taken without a signature, as the host does
}

// Sources are the places of one image: the release, its updates and its security updates.
type Sources []Source

func checkMirror(text string) error {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"http", "https", "file", "copy"}, u.Scheme) || strings.ContainsAny(text, " \t\n[]") {
		return fmt.Errorf("mirror %q is not a URL like %s", text, defaultMirror)
	}
	return nil
}

// MirrorSources gives the sources below a mirror's URL; security is that of the security updates, "" for the URL whose
// last part is "debian-security" instead of "debian".
func MirrorSources(mirror, security string) (Sources, error) {
	mirror = strings.TrimSuffix(mirror, "/")
	if security == "" {
		base, ok := strings.CutSuffix(mirror, "/debian")
		if !ok {
			return nil, fmt.Errorf("mirror %q does not end in /debian, so its security updates cannot be told: name them too", mirror)
		}
		security = base + "/debian-security"
	}
	if err := checkMirror(mirror); err != nil {
		return nil, err
	}
	return Sources{
		{URI: mirror, Suite: recipe.Codename, Components: []string{"main"}, SignedBy: debianKeyring},
		{URI: mirror, Suite: recipe.Codename + "-updates", Components: []string{"main"}, SignedBy: debianKeyring},
	}.WithSecurity(security)
}

// WithSecurity gives the sources with the security updates of another URL.
func (s Sources) WithSecurity(mirror string) (Sources, error) {
	if err := checkMirror(mirror); err != nil {
		return nil, err
	}
	suite := recipe.Codename + "-security"
	out := slices.DeleteFunc(slices.Clone(s), func(x Source) bool { return x.Suite == suite })
	return append(out, Source{URI: strings.TrimSuffix(mirror, "/"), Suite: suite, Components: []string{"main"}, SignedBy: debianKeyring}), nil
}

// HostSources gives the sources that this host's apt uses for the distribution of images; dir is /etc/apt. A host of
// another release of Debian lends its mirror only, and a host that has none of Debian gets the public archive. missing
// tells what the host's sources lack and the image will therefore not get.
func HostSources(dir string) (s Sources, missing string, err error) {
	host, err := readSources(dir)
	if err != nil {
		return nil, "", err
	}
	release, ok := host.find(recipe.Codename)
	if !ok {
		mirror, found := host.mirror("debian")
		security, foundSecurity := host.mirror("debian-security")
		if !found {
			mirror, security, foundSecurity = defaultMirror, defaultSecurity, true
		}
		if !foundSecurity {
			security = ""
		}
		s, err = MirrorSources(mirror, security)
		return s, "", err
	}
	s = Sources{release}
	if updates, ok := host.find(recipe.Codename + "-updates"); ok {
		s = append(s, updates)
	}
	security, ok := host.find(recipe.Codename + "-security")
	if !ok {
		return s, fmt.Sprintf("apt on this host has no security updates of %s, so the image will have none: name them with --security-mirror", recipe.Codename), nil
	}
	return append(s, security), "", nil
}

// find gives the first source of a suite that has the component main.
func (s Sources) find(suite string) (Source, bool) {
	i := slices.IndexFunc(s, func(x Source) bool { return x.Suite == suite && slices.Contains(x.Components, "main") })
	if i < 0 {
		return Source{}, false
	}
	found := s[i]
	found.Components = []string{"main"}
	return found, true
}

// mirror gives the first URI whose last part is name.
func (s Sources) mirror(name string) (string, bool) {
	for _, x := range s {
		if uri := strings.TrimSuffix(x.URI, "/"); path.Base(uri) == name && uri != name {
			return uri, true
		}
	}
	return "", false
}

// build gives the text for the build: lines of sources.list(5) with the host's own options. keyring gives the path of a
// file that holds a key.
func (s Sources) build(keyring func(key string) (string, error)) (string, error) {
	var out strings.Builder
	for _, x := range s {
		var options []string
		if x.Trusted {
			options = append(options, "trusted=yes")
		}
		if x.SignedBy != "" {
			file := x.SignedBy
			if !path.IsAbs(file) {
				var err error
				if file, err = keyring(x.SignedBy); err != nil {
					return "", err
				}
			}
			options = append(options, "signed-by="+file)
		}
		text := ""
		if len(options) > 0 {
			text = "[" + strings.Join(options, " ") + "] "
		}
		fmt.Fprintf(&out, "deb %s%s %s %s\n", text, x.URI, x.Suite, strings.Join(x.Components, " "))
	}
	return out.String(), nil
}

// image gives the text for the image: without passwords and paths of this host, and with the public archive where the
// source is a directory of this host.
func (s Sources) image() string {
	var out strings.Builder
	for _, x := range s {
		uri := defaultMirror
		if strings.HasSuffix(x.Suite, "-security") {
			uri = defaultSecurity
		}
		if u, err := url.Parse(x.URI); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
			u.User = nil
			uri = u.String()
		}
		fmt.Fprintf(&out, "deb %s %s %s\n", uri, x.Suite, strings.Join(x.Components, " "))
	}
	return out.String()
}
