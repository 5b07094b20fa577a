package hosting

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"conpaas/client/api"
	"conpaas/client/archive"
)

// newHalf is the half of a type whose programs are files that are read, each of which takes a moment, and that are good or broken.
func newHalf() *Half {
	return New(Kind{
		Type:    "fake",
		Welcome: fstest.MapFS{"welcome/index.txt": {Data: []byte("good")}},
		Files:   fstest.MapFS{"templates/program.conf": {Data: []byte("\t\tlocation / { proxy_read_timeout {{.Patience}}s; }\n")}},
		Runner:  reader{},
	})
}

type reader struct{}

func (reader) Accepts(api.HostingBackendConfig) error { return nil }

func (reader) Check(ctx context.Context, p Site, v api.CodeBlob, _ api.HostingBackendConfig, say Say) (broken string, err error) {
	root, err := p.Host.State().Directory(p.Code() + "/" + v.ID)
	if err != nil {
		return "", err
	}
	defer root.Close()
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	for i, name := range names {
		say("%d of %d files are checked", i, len(names))
		timer := time.NewTimer(5 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		case <-timer.C:
		}
		if data, err := root.ReadFile(name); err != nil {
			return "", err
		} else if string(data) != "good" {
			broken = name + " is " + string(data)
		}
	}
	return broken, err
}

func (reader) Apply(context.Context, Site, api.HostingBackendConfig) error { return nil }

func (reader) Health(context.Context, Site, *api.HostingBackendConfig) Health { return Health{} }

func (reader) End(context.Context, Site) error { return nil }

// version is one version of a program.
type version struct {
	api.CodeBlob
	data []byte
}

func newVersion(t *testing.T, id string, files map[string]string) version {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	return version{api.CodeBlob{ID: id, SHA256: hex.EncodeToString(sum[:]), Format: archive.Tar}, out.Bytes()}
}

// role gives a RoleSpec.
func role(t *testing.T, r api.Role, config any) api.RoleSpec {
	t.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return api.RoleSpec{Role: r, Config: data}
}
