package local_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
)

// rootTar makes a tar file of a directory.
func rootTar(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rootfs.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestImageFile: machines boot from a tar file, which is unpacked once; a new file is for new machines, and images that
// nobody uses go at the next start.
func TestImageFile(t *testing.T) {
	t.Parallel()
	dir := rootDir(t)
	c := configuration(t, map[string]string{"ROOTFS": rootTar(t, dir)})
	l := start(t, c)
	images := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(c.Dir, "images", "*", "bin"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := launch(t, l, "n1-1", "echo version $(cat /version)")
	launch(t, l, "n2-1")
	if got := images(); len(got) != 1 {
		t.Errorf("images are %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte("two"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(rootTar(t, dir), c.Options["ROOTFS"]); err != nil {
		t.Fatal(err)
	}
	printed(t, l, launch(t, l, "n3-1", "echo version $(cat /version)").ID, "version two\n")
	if text := printed(t, l, first.ID, "version"); strings.Contains(text, "two") {
		t.Errorf("the first machine says %q", text)
	}
	if got := images(); len(got) != 2 {
		t.Errorf("images are %q", got)
	}
	list, err := l.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list[:2] {
		if err := l.Terminate(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
	}
	l = again(t, c, l)
	if got := images(); len(got) != 1 {
		t.Errorf("images are %q", got)
	}
	if m, err := l.Describe(t.Context(), list[2].ID); err != nil || m != list[2] {
		t.Errorf("the third machine is %+v, %v", m, err)
	}
}

// TestImageWrong: a file that is no image, and an image without a shell, are said at launch and leave nothing.
func TestImageWrong(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no image"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := rootDir(t)
	if err := os.Remove(filepath.Join(broken, "bin/busybox")); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{text, broken} {
		c := configuration(t, map[string]string{"ROOTFS": source})
		l := start(t, c)
		id, err := l.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: userData()})
		if source == broken && err == nil { // the shell is missing when it is run
			stopped(t, l, id)
			err = l.Terminate(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
		} else if cloud.KindOf(err) != cloud.KindPermanent {
			t.Errorf("%s: %v", source, err)
		}
		if list, err := l.List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("%s: the list is %v, %v", source, list, err)
		}
		for _, trace := range newHost(t, c.Dir).traces(t) {
			if strings.Contains(trace, "/m-") {
				t.Errorf("%s: left is %s", source, trace)
			}
		}
	}
}

// TestCheckMissing: what the host lacks is named with its remedy, launch refuses for that reason, and goes on when it is
// there; the rest of the cloud works meanwhile.
func TestCheckMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // so it runs before the parallel tests
	c := configuration(t, map[string]string{"ROOTFS": "/missing/rootfs.tar"})
	l := start(t, c)
	said := map[string]string{}
	for _, k := range l.Check(t.Context()) {
		if !k.OK {
			said[k.Name] = k.Detail
		}
	}
	if len(said) != 3 || !strings.Contains(said["volumes"], "apt-get install e2fsprogs") || !strings.Contains(said["runc"], "apt-get install runc") || !strings.Contains(said["ROOTFS"], "cpsimage") {
		t.Errorf("check says %v", said)
	}
	spec := cloud.Spec{Token: "n1-1", UserData: userData()}
	_, err := l.Launch(t.Context(), spec)
	if cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "apt-get install runc") || !strings.Contains(err.Error(), "cpsimage") {
		t.Errorf("launch: %v", err)
	}
	if list, err := l.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	t.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	if _, err := l.Launch(t.Context(), spec); strings.Contains(fmt.Sprint(err), "runc") || !strings.Contains(fmt.Sprint(err), "cpsimage") {
		t.Errorf("launch with runc: %v", err)
	}
}

// TestNotRoot: where there can be no machines, because the program has not entered a user namespace or because they would
// need control groups, an ordinary user is told so by Check, Start and Clean, and nothing is made.
func TestNotRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "director")
	copyProgram(t, os.Args[0], exe)
	for runtime, says := range map[string]string{local.RuntimeContainer: "has not entered one", local.RuntimeProcess: "process needs root"} {
		c := exec.Command(exe)
		c.Env = append(os.Environ(), crashJob+`={"Work":"user","Dir":"`+filepath.Join(dir, "cloud")+`","Options":{"RUNTIME":"`+runtime+`"}}`)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := c.CombinedOutput()
		if n := strings.Count(string(out), says); err != nil || n != 3 {
			t.Errorf("%s: an ordinary user is told %d times: %v: %s", runtime, n, err, out)
		}
	}
}

// TestShorten: of a console that is too long only the end is left, and what is printed later comes after it.
func TestShorten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "console")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	long := bytes.Repeat([]byte("0123456789abcdef"), local.Longest/16)
	write := func(text []byte) {
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := local.Shorten(path); err != nil {
			t.Fatal(err)
		}
	}
	write(long)
	if info, err := f.Stat(); err != nil || info.Size() != local.Longest {
		t.Errorf("a console of the longest length has now %d bytes, %v", info.Size(), err)
	}
	write([]byte("!"))
	write([]byte("later"))
	want := slices.Concat(long[local.Longest-local.Tip+1:], []byte("!later"))
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes are left, want %d; %v", len(got), len(want), err)
	}
	if err := local.Shorten(path + ".missing"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
