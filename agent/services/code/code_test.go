package code_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/agent/services/code"
	"conpaas/client/api"
	"conpaas/client/archive"
)

// blob puts an archive with one file where the agent keeps blobs.
func blob(t *testing.T, h *host.Host, id, name, text string) api.CodeBlob {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}))
	_, err2 := w.Write([]byte(text))
	if err := errors.Join(err, err2, w.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	v := api.CodeBlob{ID: id, SHA256: hex.EncodeToString(sum[:]), Format: archive.Tar}
	err = h.State().Mkdir(service.BlobDir, 0o700, host.User{})
	if err == nil {
		_, err = h.State().Write(service.BlobDir+"/"+v.SHA256, b.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestExtract(t *testing.T) {
	h := hosttest.New(t)
	if err := h.State().Mkdir("code", 0o755, host.User{}); err != nil {
		t.Fatal(err)
	}
	v := blob(t, h, "code-abcdef", "bin/run.sh", "true")
	if err := code.Extract(t.Context(), h, "code", v, nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(h.State().Path("code/code-abcdef/bin/run.sh"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	evil := blob(t, h, "code-evil66", "../evil", "x")
	err = code.Extract(t.Context(), h, "code", evil, nil)
	if _, ok := errors.AsType[*archive.Error](err); !ok {
		t.Errorf("an archive that leads out of its place: %v", err)
	}
	if all, err := h.State().Directories("code"); err != nil || strings.Join(all, " ") != "code-abcdef new-code-evil66" {
		t.Errorf("%v, %v", all, err)
	}
	err = code.Extract(t.Context(), h, "code", api.CodeBlob{ID: "code-later6", SHA256: strings.Repeat("a", 64), Format: archive.Tar}, nil)
	if waits, _ := service.Waits(err); !waits {
		t.Errorf("a blob that has not come: %v", err)
	}
}

func TestCheck(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for want, v := range map[string]api.CodeBlob{
		"":             {ID: "code-abcdef", SHA256: sum, Format: "zip"},
		"no id":        {ID: "code-../../x", SHA256: sum, Format: "zip"},
		"the SHA-256":  {ID: "code-abcdef", SHA256: "../x", Format: "zip"},
		"the format":   {ID: "code-abcdef", SHA256: sum, Format: "rar"},
		"code-default": {ID: api.CodeDefault, SHA256: sum},
	} {
		if err := code.Check([]api.CodeBlob{v}); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", v, err, want)
		}
	}
	if err := code.Check(make([]api.CodeBlob, 17)); err == nil || !strings.Contains(err.Error(), "17 code versions") {
		t.Errorf("too many: %v", err)
	}
}
