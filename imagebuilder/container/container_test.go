package container

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"gopkg.in/yaml.v3"
)

// example is an image of the past, so that no clock is in it.
var example = Image{Name: `rootfs "x"`, Architecture: "amd64", Distribution: "debian", Release: "bookworm", Created: time.Date(2026, 5, 4, 3, 2, 1, 999, time.UTC)}

// long is a name that needs more than the plain header once something is before it.
var long = strings.Repeat("a-long-name/", 9) + "x"

// rootTar writes an archive with every kind of member.
func rootTar(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	out := tar.NewWriter(f)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "./etc/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "./etc/x", Mode: 0o640, Uid: 3, Gid: 4, Size: 5, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x02"}},
		{Typeflag: tar.TypeSymlink, Name: "./bin", Linkname: "usr/bin"},
		{Typeflag: tar.TypeLink, Name: "./etc/y", Linkname: "./etc/x"},
		{Typeflag: tar.TypeReg, Name: "./" + long, Mode: 0o4755, Size: 5},
	} {
		if err := out.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := out.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(out.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

// members reads an archive: headers by name, and contents.
func members(t *testing.T, r io.Reader) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	headers, contents := map[string]*tar.Header{}, map[string][]byte{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		if headers[h.Name], contents[h.Name] = h, nil; h.Typeflag == tar.TypeReg {
			if contents[h.Name], err = io.ReadAll(in); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func open(t *testing.T, name string) io.Reader {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(content)
}

// strict reads a document; a field that the specification's type does not have is a mistake.
func strict(t *testing.T, text []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestOCILayoutIsTheSpecifications(t *testing.T) {
	root, dir := rootTar(t), t.TempDir()
	file := filepath.Join(dir, "x.tar")
	if err := WriteOCI(t.Context(), root, file, dir, example); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left %v", left)
	}
	_, files := members(t, open(t, file))
	var layout v1.ImageLayout
	strict(t, files[v1.ImageLayoutFile], &layout)
	if layout.Version != v1.ImageLayoutVersion {
		t.Errorf("layout %+v", layout)
	}
	var top v1.Index
	strict(t, files[v1.ImageIndexFile], &top)
	if want := (specs.Versioned{SchemaVersion: 2}); top.Versioned != want || top.MediaType != v1.MediaTypeImageIndex || len(top.Manifests) != 1 {
		t.Fatalf("index %+v", top)
	}
	if p := top.Manifests[0].Platform; p == nil || p.OS != "linux" || p.Architecture != "amd64" || top.Manifests[0].Annotations[v1.AnnotationRefName] != "latest" {
		t.Errorf("index %+v", top)
	}
	blob := func(d v1.Descriptor, mediaType string) []byte {
		t.Helper()
		if err := d.Digest.Validate(); err != nil || d.MediaType != mediaType {
			t.Errorf("descriptor %+v: %v", d, err)
		}
		content := files["blobs/sha256/"+d.Digest.Encoded()]
		sum := sha256.Sum256(content)
		if hex.EncodeToString(sum[:]) != d.Digest.Encoded() || int64(len(content)) != d.Size {
			t.Errorf("%s has another digest or size", mediaType)
		}
		return content
	}
	var m v1.Manifest
	strict(t, blob(top.Manifests[0], v1.MediaTypeImageManifest), &m)
	if m.SchemaVersion != 2 || m.MediaType != v1.MediaTypeImageManifest || len(m.Layers) != 1 || m.Annotations[v1.AnnotationTitle] != example.Name {
		t.Fatalf("manifest %+v", m)
	}
	var config v1.Image
	strict(t, blob(m.Config, v1.MediaTypeImageConfig), &config)
	if config.Architecture != "amd64" || config.OS != "linux" || config.RootFS.Type != "layers" || len(config.RootFS.DiffIDs) != 1 || len(config.Config.Cmd) == 0 {
		t.Errorf("config %+v", config)
	}
	zip, err := gzip.NewReader(bytes.NewReader(blob(m.Layers[0], v1.MediaTypeImageLayerGzip)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(plain)
	if want, err := os.ReadFile(root); err != nil || !bytes.Equal(want, plain) || config.RootFS.DiffIDs[0].Encoded() != hex.EncodeToString(sum[:]) {
		t.Errorf("the layer is not the root file system, or its digest is another: %v", err)
	}
}

func TestLXCImageHasTheRootFileSystemBelow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.tar")
	if err := WriteLXC(t.Context(), rootTar(t), file, example); err != nil {
		t.Fatal(err)
	}
	headers, contents := members(t, open(t, file))
	var about struct {
		Architecture string
		CreationDate int64 `yaml:"creation_date"`
		Properties   map[string]string
		Templates    map[string]struct {
			When       []string
			Template   string
			Properties map[string]string
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(contents["metadata.yaml"]))
	d.KnownFields(true)
	if err := d.Decode(&about); err != nil {
		t.Fatalf("%v in %s", err, contents["metadata.yaml"])
	}
	if about.Architecture != "x86_64" || about.CreationDate != example.Created.Unix() || about.Properties["description"] != example.Name || about.Properties["release"] != "bookworm" {
		t.Errorf("metadata %+v", about)
	}
	if len(about.Templates) != 5 {
		t.Errorf("templates %+v", about.Templates)
	}
	for name, row := range about.Templates {
		if contents["templates/"+row.Template] == nil || !slices.Equal(row.When, []string{"create", "copy"}) {
			t.Errorf("%s: %+v", name, row)
		}
	}
	_, was := members(t, open(t, rootTar(t)))
	for name := range was {
		if below := "rootfs/" + strings.TrimPrefix(name, "./"); headers[below] == nil || cmp.Diff(was[name], contents[below]) != "" {
			t.Errorf("%s is not there as it was", below)
		}
	}
	x := headers["rootfs/etc/x"]
	if x.Mode != 0o640 || x.Uid != 3 || x.Gid != 4 || x.PAXRecords["SCHILY.xattr.security.capability"] != "\x01\x00\x02" || headers["rootfs/"+long].Mode != 0o4755 {
		t.Errorf("owners, modes or capabilities are lost: %+v", x)
	}
	if headers["rootfs/etc/y"].Linkname != "rootfs/etc/x" || headers["rootfs/bin"].Linkname != "usr/bin" {
		t.Error("links lead elsewhere")
	}
}

func TestArm64IsNamedAsEachEngineDoes(t *testing.T) {
	i, dir := example, t.TempDir()
	i.Architecture = "arm64"
	lxc, oci := filepath.Join(dir, "lxc.tar"), filepath.Join(dir, "oci.tar")
	if err := errors.Join(WriteLXC(t.Context(), rootTar(t), lxc, i), WriteOCI(t.Context(), rootTar(t), oci, dir, i)); err != nil {
		t.Fatal(err)
	}
	_, files := members(t, open(t, lxc))
	if !strings.HasPrefix(string(files["metadata.yaml"]), "architecture: aarch64\n") {
		t.Errorf("LXC: %s", files["metadata.yaml"])
	}
	if _, files = members(t, open(t, oci)); !strings.Contains(string(files["index.json"]), `"platform":{"architecture":"arm64","os":"linux"}`) {
		t.Errorf("OCI: %s", files["index.json"])
	}
}

// What fails or is interrupted leaves no file.
func TestFailuresLeaveNothing(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	torn := rootTar(t)
	info, err := os.Stat(torn)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(torn, info.Size()-1024-510); err != nil { // in the last file, before the two blocks of the end
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none")
	for name, write := range map[string]func(file, work string) error{
		"OCI, interrupted":  func(f, w string) error { return WriteOCI(interrupted, rootTar(t), f, w, example) },
		"OCI of nothing":    func(f, w string) error { return WriteOCI(t.Context(), none, f, w, example) },
		"LXC, interrupted":  func(f, _ string) error { return WriteLXC(interrupted, rootTar(t), f, example) },
		"LXC of nothing":    func(f, _ string) error { return WriteLXC(t.Context(), none, f, example) },
		"LXC of half a tar": func(f, _ string) error { return WriteLXC(t.Context(), torn, f, example) },
	} {
		dir := t.TempDir()
		if err := write(filepath.Join(dir, "x"), dir); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); left != nil {
			t.Errorf("%s leaves %v", name, left)
		}
	}
}
