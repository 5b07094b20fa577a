package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conpaas/imagebuilder/recipe"
)

// parsed gives the recipe of a file's text.
func parsed(t *testing.T, dir, text string) recipe.Recipe {
	t.Helper()
	c, err := recipe.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.At(dir).Recipe()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Another form of the same packages needs no second run of mmdebstrap; lxc, which has an init, is other packages.
func TestOtherFormatsReuseTheRootFileSystem(t *testing.T) {
	notes, cache := fake(t, ""), t.TempDir()
	o := Options{Cache: cache, Sources: sources}
	first, err := Build(t.Context(), helloworld(t), o)
	if err != nil {
		t.Fatal(err)
	}
	plain := read(t, first.Path)
	for _, tt := range []struct {
		text, ending string
		calls        int
	}{
		{"format = oci", ".tar", 1},
		{"format = rootfs\nfilename = x.tar.gz", ".tar.gz", 1},
		{"format = rootfs\nfilename = x.tar.zst", ".tar.zst", 1},
		{"format = rootfs\nfilename = x.tar.xz", ".tar.xz", 1},
		{"format = lxc\nfilename = x.tar.gz", ".tar.gz", 2},
		{"format = lxc", ".tar", 2},
	} {
		image, err := Build(t.Context(), parsed(t, "", "[image]\n"+tt.text+"\n[services]\nphp = off\njava = off\nmysql = off\ngeneric = off\n"), o)
		if err != nil || calls(t, notes) != tt.calls || image.Key == first.Key || image.Path != filepath.Join(cache, image.Key+tt.ending) {
			t.Errorf("%q: %v, %d calls, %s", tt.text, err, calls(t, notes), image.Path)
			continue
		}
		if strings.HasSuffix(tt.text, "gz") && tt.calls == 1 {
			zip, err := gzip.NewReader(strings.NewReader(read(t, image.Path)))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := got.ReadFrom(zip); err != nil || got.String() != plain {
				t.Errorf("%q: not the root file system, %v", tt.text, err)
			}
		}
	}
	if list, err := List(cache); err != nil || len(list) != 7 {
		t.Errorf("%d images, %v", len(list), err)
	}
	if args := read(t, notes, "args"); !strings.Contains(args, "/lxc.sh\n") || !strings.Contains(args, "systemd-sysv") {
		t.Errorf("a container with an init has none:\n%s", args)
	}
}

func TestManifestAndBillLieBesideTheImage(t *testing.T) {
	fake(t, "")
	image, err := Build(t.Context(), helloworld(t), Options{Cache: t.TempDir(), Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, image.Manifest), "nginx-light 1.22.1-9+deb12u2 amd64\n"; got != want || image.Installed != 1 {
		t.Errorf("manifest %q of %d, want %q", got, image.Installed, want)
	}
	bill := read(t, image.SBOM)
	for _, want := range []string{`"spdxVersion": "SPDX-2.3"`, image.SHA256, "pkg:deb/debian/nginx-light@1.22.1-9%2Bdeb12u2?arch=amd64&distro=debian-12", "rootfs of debian-12 with helloworld"} {
		if !strings.Contains(bill, want) {
			t.Errorf("the bill lacks %s:\n%s", want, bill)
		}
	}
	if err := os.Remove(image.SBOM); err != nil {
		t.Fatal(err)
	}
	if _, ok := lookup(filepath.Dir(image.Path), image.Key); ok {
		t.Error("an image without its bill of materials is taken for whole")
	}
}

func TestProgressKnowsTheLastBuildOfItsKind(t *testing.T) {
	fake(t, "")
	cache := t.TempDir()
	var told []Progress
	o := Options{Cache: cache, Sources: sources, Progress: func(p Progress) { told = append(told, p) }}
	if _, err := Build(t.Context(), helloworld(t), o); err != nil || told[0].Expected != 0 {
		t.Fatalf("%v, the first build knows %v", err, told[0].Expected)
	}
	told, o.Fresh = nil, true
	if _, err := Build(t.Context(), helloworld(t), o); err != nil || told[0].Expected == 0 {
		t.Errorf("%v, the second build of its kind knows nothing", err)
	}
	whole := told[0].Expected
	for _, p := range told {
		if p.Expected != whole {
			t.Errorf("the expected time changes from %v to %v at %q", whole, p.Expected, p.Step)
		}
	}
	if err := os.WriteFile(filepath.Join(cache, timesFile), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), helloworld(t), o); err != nil {
		t.Errorf("a damaged note of times keeps from building: %v", err)
	}
}

func TestOptimizeIsAChoice(t *testing.T) {
	notes := fake(t, "")
	for on, text := range map[bool]string{true: "true", false: "false"} {
		r := parsed(t, "", "[image]\noptimize = "+text+"\n")
		if _, err := Build(t.Context(), r, Options{Cache: t.TempDir(), Sources: sources}); err != nil {
			t.Fatal(err)
		}
		args := read(t, notes, "args")
		if strings.Contains(args, "path-exclude") != on || strings.Contains(args, "/optimize.sh\n") != on {
			t.Errorf("optimize = %s: %s", text, args)
		}
	}
}

// What an optimized image leaves out are no programs that administrators of a database run.
func TestOptimizedKeepsTheDatabasesPrograms(t *testing.T) {
	for _, name := range []string{
		"mariadb", "mariadb-admin", "mariadb-backup", "mariabackup", "mbstream", "mariadb-binlog", "mariadb-check", "mariadb-dump", "mariadb-import", "mariadb-install-db",
		"mariadb-show", "mariadb-tzinfo-to-sql", "mariadb-upgrade", "mariadbd-safe", "mariadbd-safe-helper", "my_print_defaults", "mysql", "mysqldump", "perror",
		"resolveip", "wsrep_sst_common", "wsrep_sst_mariabackup", "wsrep_sst_rsync",
	} {
		for _, pattern := range excluded {
			if out, err := path.Match(pattern, "/usr/bin/"+name); err != nil || out {
				t.Errorf("%s leaves out %s, %v", pattern, name, err)
			}
		}
	}
}

func TestToolsOfARecipe(t *testing.T) {
	names := func(root bool, text string) []string {
		var out []string
		for _, tool := range tools(root, parsed(t, "", text)) {
			out = append(out, filepath.Base(tool.Name))
		}
		return out
	}
	if got := names(true, ""); slices.Contains(got, "xz") || slices.Contains(got, "qemu-img") || slices.Contains(got, "newuidmap") {
		t.Errorf("the plainest image needs %v", got)
	}
	for text, want := range map[string]string{
		"[image]\nfilename = x.tar.xz\n": "xz", "[image]\nfilename = x.tar.zst\n": "zstd", "[preinstall]\ncopy = a.tar.zst:/a\n": "zstd",
		"[image]\nformat = qcow2\n": "qemu-img",
	} {
		if got := names(false, text); !slices.Contains(got, want) || !slices.Contains(got, "newuidmap") {
			t.Errorf("%q needs %v, want %s", text, got, want)
		}
	}
}

// put writes files below a directory.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
}

// archiveOf writes a packed archive with one file.
func archiveOf(t *testing.T, file, name, text string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(f)
	out := tar.NewWriter(zip)
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	_, err = out.Write([]byte(text))
	if err := errors.Join(err, out.Close(), zip.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

const withPayload = "[preinstall]\ncopy = app:/srv/app app.conf:/etc/app.conf data.tar.gz:/srv/data\nscript = in.sh\n[firstboot]\nscript = first.sh\n"

func TestWhatIsPutIntoTheImageIsPartOfIt(t *testing.T) {
	notes, cache, dir := fake(t, `for a; do case $a in --customize-hook=*/preinstall.sh)
	here=$(dirname "${a#*=}")
	for f in $here/copy-*.tar; do echo "$(cat ${f%.tar}.to) $(tar tf $f | sort | tr '\n' ' ')"; done >$notes/payload
	cat $here/script $here/firstboot >>$notes/payload
esac; done`), t.TempDir(), t.TempDir()
	put(t, dir, map[string]string{"app/index.php": "<?php", "app/lib/x": "x", "app.conf": "c", "in.sh": "#!/bin/sh\n", "first.sh": "#!/bin/sh\n:\n"})
	archiveOf(t, filepath.Join(dir, "data.tar.gz"), "d", "data")
	if err := os.Symlink("index.php", filepath.Join(dir, "app/default.php")); err != nil {
		t.Fatal(err)
	}
	o := Options{Cache: cache, Sources: sources}
	first, err := Build(t.Context(), parsed(t, dir, withPayload), o)
	if err != nil {
		t.Fatal(err)
	}
	want := "/srv/app default.php index.php lib/ lib/x \n/etc app.conf \n/srv/data d \n#!/bin/sh\n#!/bin/sh\n:\n"
	if got := read(t, notes, "payload"); got != want {
		t.Errorf("mmdebstrap's hook finds %q, want %q", got, want)
	}
	for name, change := range map[string]func(){
		"a file":        func() { put(t, dir, map[string]string{"app/lib/x": "y"}) },
		"a mode":        func() { _ = os.Chmod(filepath.Join(dir, "app/lib/x"), 0o600) },
		"another file":  func() { put(t, dir, map[string]string{"app/z": ""}) },
		"an archive":    func() { archiveOf(t, filepath.Join(dir, "data.tar.gz"), "d", "DATA") },
		"the script":    func() { put(t, dir, map[string]string{"in.sh": "#!/bin/sh\n:\n"}) },
		"the firstboot": func() { put(t, dir, map[string]string{"first.sh": "#!/bin/sh\n"}) },
	} {
		change()
		before := calls(t, notes)
		image, err := Build(t.Context(), parsed(t, dir, withPayload), o)
		if err != nil || image.Key == first.Key || calls(t, notes) != before+1 {
			t.Errorf("%s has changed: %v, the same image %v", name, err, image.Key == first.Key)
		}
		first = image
	}
	again, err := Build(t.Context(), parsed(t, dir, withPayload), o)
	if err != nil || again.Key != first.Key {
		t.Errorf("nothing has changed: %v, another image", err)
	}
}

func TestPayloadsThatAreRefused(t *testing.T) {
	fake(t, "")
	dir := t.TempDir()
	put(t, dir, map[string]string{"plain": "echo x\n", "broken.tar.gz": "no archive"})
	for text, want := range map[string]string{
		"[preinstall]\ncopy = none:/srv/app\n":          "no such file",
		"[preinstall]\ncopy = /dev/null:/srv/app\n":     "neither file, directory nor archive",
		"[preinstall]\nscript = none.sh\n":              "no such file",
		"[preinstall]\nscript = plain\n":                "begin it with #!/bin/sh",
		"[firstboot]\nscript = plain\n":                 "begin it with #!/bin/sh",
		"[preinstall]\ncopy = broken.tar.gz:/srv/app\n": "invalid header",
	} {
		cache := t.TempDir()
		if _, err := Build(t.Context(), parsed(t, dir, text), Options{Cache: cache, Sources: sources}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if left := names(t, cache); left != nil {
			t.Errorf("%q leaves %v", text, left)
		}
	}
}
