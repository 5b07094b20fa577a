package container

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestReadIsTheReverseOfWrite: the root file system in each form is the one that was put in.
func TestReadIsTheReverseOfWrite(t *testing.T) {
	root, dir := rootTar(t), t.TempDir()
	lxc, oci := filepath.Join(dir, "lxc.tar"), filepath.Join(dir, "oci.tar")
	if err := errors.Join(WriteLXC(t.Context(), root, lxc, example), WriteOCI(t.Context(), root, oci, dir, example)); err != nil {
		t.Fatal(err)
	}
	tree, layer := filepath.Join(dir, "tree.tar"), filepath.Join(dir, "layer.tar.gz")
	if err := errors.Join(ReadLXC(t.Context(), lxc, tree), ReadOCI(t.Context(), oci, layer)); err != nil {
		t.Fatal(err)
	}
	headers, contents := members(t, open(t, root))
	again, contentsAgain := members(t, open(t, tree))
	if d := cmp.Diff(headers, again, cmpopts.IgnoreFields(*headers["./"], "Format", "Xattrs")) + cmp.Diff(contents, contentsAgain); d != "" {
		t.Error(d)
	}
	zip, err := gzip.NewReader(open(t, layer))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(root)
	var got bytes.Buffer
	if _, err := got.ReadFrom(zip); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the layer is another archive, %v", err)
	}
}

// TestReadRefuses what is damaged or another kind of image, and leaves nothing.
func TestReadRefuses(t *testing.T) {
	root, dir := rootTar(t), t.TempDir()
	oci, bad := filepath.Join(dir, "oci.tar"), filepath.Join(dir, "bad.tar")
	if err := WriteOCI(t.Context(), root, oci, dir, example); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(oci)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteLXC(t.Context(), root, bad, example); err != nil {
		t.Fatal(err)
	}
	lxc, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(old, by string) []byte { return bytes.Replace(whole, []byte(old), []byte(by), 1) }
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(dir, "out")
	for name, c := range map[string]struct {
		content []byte
		read    func(context.Context, string, string) error
		ctx     context.Context
		says    string
	}{
		"a layer that changed":    {changed("\x1f\x8b\x08", "\x1f\x8b\x09"), ReadOCI, t.Context(), "another digest"},
		"a manifest that changed": {changed(`"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest`, `"schemaVersion":3,"mediaType":"application/vnd.oci.image.manifest`), ReadOCI, t.Context(), "another digest"},
		"another archive":         {lxc, ReadOCI, t.Context(), "index.json is missing"},
		"an OCI image as LXC":     {whole, ReadLXC, t.Context(), "no metadata.yaml"},
		"text":                    {[]byte(strings.Repeat("text", 1000)), ReadLXC, t.Context(), "read the archive"},
		"an interruption":         {whole, ReadOCI, canceled, "canceled"},
	} {
		if err := os.WriteFile(bad, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.read(c.ctx, bad, out); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a file is left", name)
		}
	}
}
