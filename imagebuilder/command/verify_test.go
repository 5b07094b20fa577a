package command

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyRefusals: what cannot be verified is said before anything is started.
func TestVerifyRefusals(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	sector := make([]byte, 512)
	sector[510], sector[511] = 0x55, 0xaa
	var root bytes.Buffer
	if err := tar.NewWriter(&root).WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./"}); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"disk": sector, "root": root.Bytes(), "text": []byte("no image")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"missing"}, "no such file"},
		{[]string{"text"}, "it is no disk image (raw, qcow2, vdi, ova) and no root file system"},
		{[]string{"disk", "--firmware", "coreboot"}, `unknown firmware "coreboot": use both, bios, uefi`},
		{[]string{"disk", "--timeout", "0s"}, "--timeout 0s"},
		{[]string{"root", "--firmware", "bios"}, "leave out --firmware"},
		{[]string{"disk"}, "neither beside cpsimage nor in PATH"},
	} {
		args := append([]string{"verify", filepath.Join(dir, c.args[0])}, c.args[1:]...)
		out, progress, err := run(t, args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || out != "" || progress != "" {
			t.Errorf("%q: %v, out %q, progress %q; want %q", c.args, err, out, progress, c.want)
		}
	}
}
