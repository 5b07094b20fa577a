package local_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/director/cloud"
)

// published makes the description of an image.
func published(content []byte) cloud.ImageSpec {
	return cloud.ImageSpec{Name: "test", Format: api.ImageRootFS, Architecture: runtime.GOARCH, Size: int64(len(content)), SHA256: digestOf(content)}
}

// unpacked counts the root file systems that are unpacked.
func unpacked(t *testing.T, c cloud.Config) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.Dir, "images", "*", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// TestPublishedImage: machines start from an image in place of ROOTFS, which need not be there; it is unpacked once, cannot be
// removed while a machine has it, and is gone wholly when it is removed.
func TestPublishedImage(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"ROOTFS": filepath.Join(t.TempDir(), "none.tar")})
	l := start(t, c)
	content := imageTar(t)
	image, err := l.AddImage(t.Context(), published(content), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var machines []cloud.MachineID
	for _, token := range []string{"n1-1", "n2-1"} {
		id, err := l.Launch(t.Context(), cloud.Spec{Token: token, UserData: userData("ls /bin/busybox"), Image: string(image)})
		if err != nil {
			t.Fatal(err)
		}
		printed(t, l, id, "/bin/busybox")
		machines = append(machines, id)
	}
	if _, err := l.Launch(t.Context(), cloud.Spec{Token: "n3-1", UserData: userData()}); cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "none.tar") {
		t.Errorf("a machine of ROOTFS, which is not there: %v", err)
	}
	if n := unpacked(t, c); n != 1 {
		t.Errorf("%d images are unpacked", n)
	}
	l = again(t, c, l)
	for i, id := range machines {
		err := l.RemoveImage(t.Context(), image)
		if cloud.KindOf(err) != cloud.KindInUse || !strings.Contains(err.Error(), string(id)) || !strings.Contains(err.Error(), "n2-1") {
			t.Errorf("remove the image with %d machines: %v", len(machines)-i, err)
		}
		if err := l.Terminate(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.RemoveImage(t.Context(), image); err != nil {
		t.Fatal(err)
	}
	if n := unpacked(t, c); n != 0 {
		t.Errorf("%d images are unpacked after the removal", n)
	}
	if left, err := os.ReadDir(filepath.Join(c.Dir, "lower")); err != nil || len(left) != 0 {
		t.Errorf("left of the shared image: %v, %v", left, err)
	}
	if left, err := os.ReadDir(filepath.Join(c.Dir, "published")); err != nil || len(left) != 0 {
		t.Errorf("left of the image: %v, %v", left, err)
	}
}

// TestImageThatDoesNotBoot: what machines of the runtime cannot boot is refused before it is read, and at launch where the
// runtime has become another one since.
func TestImageThatDoesNotBoot(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	l := start(t, c)
	for says, change := range map[string]func(*cloud.ImageSpec){
		"qcow2":  func(s *cloud.ImageSpec) { s.Format = api.ImageQCOW2 },
		"mips64": func(s *cloud.ImageSpec) { s.Architecture = "mips64" },
	} {
		spec := published([]byte("content"))
		change(&spec)
		read := &counter{Reader: strings.NewReader("content")}
		_, err := l.AddImage(t.Context(), spec, read)
		if cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), says) || read.calls > 0 {
			t.Errorf("%s: %v after %d reads", says, err, read.calls)
		}
	}
	image, err := l.AddImage(t.Context(), published([]byte("content")), strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(c.Dir, "published", string(image), "image.json")
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(note, bytes.Replace(text, []byte("rootfs"), []byte("raw"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = l.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: userData(), Image: string(image)})
	if cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "raw") {
		t.Errorf("launch: %v", err)
	}
}

// counter counts reads.
type counter struct {
	io.Reader
	calls int
}

func (c *counter) Read(p []byte) (int, error) {
	c.calls++
	return c.Reader.Read(p)
}

// digestOf gives a SHA-256 in hex.
func digestOf(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }
