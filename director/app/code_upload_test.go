package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"conpaas/client/api"
	"conpaas/director/directortest"
	"conpaas/director/store"
)

// Enabling can be cancelled until the version gets requests; the version can be enabled again.
func TestEnablingIsCancelled(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	service := phpService(t, d)
	c, ctx := login(t, d), t.Context()
	v := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", upload(archiveOf(t, "index.php", "<?php echo 1;"), false)))
	blob := filepath.Join(d.Dir, "blobs", v.SHA256)
	if err := os.Rename(blob, blob+".away"); err != nil { // the manager cannot get it now
		t.Fatal(err)
	}
	op := must[api.Operation](t)(c.EnableCode(ctx, "shop", "php", v.ID))
	if op = must[api.Operation](t)(c.CancelOperation(ctx, op.ID)); op.State != api.OperationCancelled {
		t.Errorf("the operation is %s", op.State)
	}
	if got := states(t, c); got != "code-default enabled, second try" {
		t.Errorf("after the cancellation: %s", got)
	}
	directortest.Await(t, 10*time.Second, "the manager is told", func() error {
		if code := d.Cloud.Spec(service.Application).Application.Services[0].Code; code.Wanted != api.CodeDefault {
			return store.ErrNotFound
		}
		return nil
	})
	if err := os.Rename(blob+".away", blob); err != nil {
		t.Fatal(err)
	}
	succeed(t, d)(c.EnableCode(ctx, "shop", "php", v.ID))
	if got := states(t, c); got != "code-default, second try enabled" {
		t.Errorf("after it was enabled again: %s", got)
	}
}

// Over the director's port, too, an upload goes on where it has ended; for another service nothing of it is there.
func TestUploadGoesOnOverThePort(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	phpService(t, d)
	must[api.Service](t)(d.AddService(t.Context(), d.Admin(), "shop", api.ServiceCreate{Type: api.PHP, Name: "other"}))
	c, ctx := login(t, d), t.Context()
	data := archiveOf(t, "index.php", strings.Repeat("<?php echo 1; ?>", 1000))
	sum := sha256.Sum256(data)
	in := upload(data, false)
	in.SHA256 = hex.EncodeToString(sum[:])
	half := int64(len(data) / 2)
	in.Archive = io.MultiReader(io.NewSectionReader(bytes.NewReader(data), 0, half), iotest.ErrReader(errors.New("the cable is cut")))
	if _, err := c.UploadCode(ctx, "shop", "php", in); err == nil {
		t.Fatal("an upload that breaks off succeeds")
	}
	directortest.Await(t, 30*time.Second, "what has come is there", func() error {
		if u := must[api.CodeUpload](t)(c.CodeUploaded(ctx, "shop", "php", in.SHA256, in.Size)); u.Length != half {
			return fmt.Errorf("%d bytes", u.Length)
		}
		return nil
	})
	if u := must[api.CodeUpload](t)(c.CodeUploaded(ctx, "shop", "other", in.SHA256, in.Size)); u.Length != 0 {
		t.Errorf("of another service %d bytes are there", u.Length)
	}
	in.Offset, in.Size, in.Archive = half, int64(len(data))-half, bytes.NewReader(data[half:])
	v := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", in))
	if v.SHA256 != in.SHA256 || v.Size != int64(len(data)) {
		t.Errorf("the version is %+v", v)
	}
	for _, bad := range []string{"", "x", strings.ToUpper(in.SHA256)} {
		if _, err := c.CodeUploaded(ctx, "shop", "php", bad, 1); err == nil {
			t.Errorf("%q is taken as a SHA-256", bad)
		}
	}
	if _, err := c.CodeUploaded(ctx, "shop", "php", in.SHA256, 2<<30); api.CodeFrom(err) != api.CodeTooLarge {
		t.Errorf("2 GiB: %v", err)
	}
}
