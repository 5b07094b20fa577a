package build

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"testing"
)

// TestRealBuild makes an image with the real mmdebstrap from this host's mirror and looks into it.
func TestRealBuild(t *testing.T) {
	sources, missing, err := HostSources("/etc/apt")
	if err != nil || missing != "" {
		t.Fatalf("%v, %s", err, missing)
	}
	o := Options{Cache: t.TempDir(), Sources: sources, Progress: func(p Progress) { t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Step) }}
	image, err := Build(t.Context(), helloworld(t), o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(image.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files, texts := map[string]*tar.Header{}, map[string]string{}
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean("/" + h.Name)
		files[name] = h
		if strings.HasPrefix(name, "/etc/") || name == "/var/lib/dpkg/status" {
			text, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	for _, name := range []string{
		"/usr/sbin/nginx", "/usr/bin/curl", "/usr/bin/openssl", "/usr/sbin/nft", "/usr/bin/dash", "/usr/bin/ps", "/usr/bin/ping", "/usr/bin/sha256sum",
		"/etc/ssl/certs/ca-certificates.crt", "/dev", "/proc", "/sys", "/tmp", "/usr/share/doc/nginx-light/copyright",
	} {
		if files[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/apt/apt.conf.d/99mmdebstrap", "/dev/null", "/usr/bin/perl5.36-x86_64-linux-gnu", "/etc/mailname"} {
		if files[name] != nil {
			t.Errorf("%s is there", name)
		}
	}
	for name, h := range files {
		switch {
		case h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock:
			t.Errorf("%s is a device", name)
		case strings.HasPrefix(name, "/etc/ssh/ssh_host_"):
			t.Errorf("%s is a machine's own", name)
		case strings.HasPrefix(name, "/etc/systemd/system/") && strings.Contains(path.Dir(name), ".wants"), strings.HasPrefix(name, "/etc/rc2.d/S"):
			t.Errorf("%s starts a service", name)
		case h.Typeflag == tar.TypeReg && h.Size > 0 && (strings.HasPrefix(name, "/usr/share/man/") || strings.HasPrefix(name, "/var/lib/apt/lists/") || strings.HasPrefix(name, "/var/cache/apt/")):
			t.Errorf("%s takes space", name)
		case h.Typeflag == tar.TypeReg && h.Size > 0 && strings.HasPrefix(name, "/var/log/"):
			t.Errorf("%s tells of the build", name)
		case h.Typeflag == tar.TypeReg && strings.HasPrefix(name, "/usr/share/doc/") && path.Base(name) != "copyright":
			t.Errorf("%s is documentation", name)
		}
	}
	if h := files["/usr/sbin/policy-rc.d"]; h == nil || h.Mode&0o777 != 0o755 {
		t.Errorf("policy-rc.d: %+v", h)
	}
	for name, want := range map[string]string{
		"/etc/hostname": "localhost\n", "/etc/resolv.conf": "", "/etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
		"/etc/apt/sources.list": sources.image(),
	} {
		if h := files[name]; h == nil || h.Typeflag != tar.TypeReg || h.Mode&0o777 != 0o644 || texts[name] != want {
			t.Errorf("%s holds %q, want %q, with mode 0644", name, texts[name], want)
		}
	}
	if !strings.Contains(texts["/var/lib/dpkg/status"], "Package: nginx-light\nStatus: install ok installed\n") {
		t.Error("dpkg does not know nginx-light")
	}
	for name, text := range texts {
		if strings.HasPrefix(name, "/etc/apt/apt.conf.d/") && strings.Contains(text, "Acquire::Check") || strings.HasPrefix(name, "/etc/dpkg/") && strings.Contains(text, "unsafe") {
			t.Errorf("%s holds the build's options: %q", name, text)
		}
	}
	if !strings.Contains(texts["/etc/dpkg/dpkg.cfg.d/99conpaas"], "path-exclude=/usr/share/man/*\n") {
		t.Errorf("later packages bring their documentation: %q", texts["/etc/dpkg/dpkg.cfg.d/99conpaas"])
	}
	if len(names(t, o.Cache)) != 4 {
		t.Errorf("the cache has %v", names(t, o.Cache))
	}
}
