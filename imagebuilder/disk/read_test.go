package disk

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadIsTheReverseOfConvert: what is delivered for VirtualBox has the disk byte by byte.
func TestReadIsTheReverseOfConvert(t *testing.T) {
	dir := t.TempDir()
	raw, content := filepath.Join(dir, "a.raw"), make([]byte, 3*mib)
	copy(content, "begin")
	copy(content[2*mib+7:], "middle")
	copy(content[3*mib-3:], "end")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"vdi", "ova"} {
		file, back := filepath.Join(dir, "a."+format), filepath.Join(dir, format, "back.raw")
		if err := os.Mkdir(filepath.Dir(back), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Convert(t.Context(), raw, format, file, 0); err != nil {
			t.Fatal(err)
		}
		if err := Read(t.Context(), file, format, back); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: the disk is another one, %d bytes, %v", format, len(got), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Read(ctx, file, format, back+"2"); err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%s: interrupted: %v", format, err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(back), "*")); len(left) != 1 {
			t.Errorf("%s: left is %q", format, left)
		}
	}
}

// TestReadRefuses what is not the appliance that was made.
func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		members []string // name and content by turns
		says    string
	}{
		"no disk":         {[]string{"a.ovf", "x"}, "has no disk"},
		"two disks":       {[]string{"a.vmdk", "KDMVx", "b.vmdk", "KDMVx"}, "another disk, b.vmdk"},
		"a disk of files": {[]string{"a.vmdk", "# Disk DescriptorFile"}, "whole in itself"},
		"a changed disk":  {[]string{"a.vmdk", "KDMVx", "a.mf", "SHA256(a.vmdk)= 00\n"}, "a.vmdk has not the digest"},
		"no digests":      {[]string{"a.vmdk", "KDMVx"}, "a.vmdk is not in the manifest"},
		"weak digests":    {[]string{"a.vmdk", "KDMVx", "a.mf", "SHA1(a.vmdk)= 00\n"}, "no SHA256 in the line"},
		"no archive":      {nil, "has no disk"},
	} {
		file, raw := filepath.Join(dir, "a.ova"), filepath.Join(dir, "a.raw")
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		for i := 0; i+1 < len(c.members); i += 2 {
			if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: c.members[i], Size: int64(len(c.members[i+1])), Mode: 0o644}); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write([]byte(c.members[i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Read(t.Context(), file, "ova", raw); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
			t.Errorf("%s: left is %q", name, left)
		}
	}
	t.Setenv("PATH", dir)
	if err := Read(t.Context(), "a.vdi", "vdi", "a.raw"); err == nil || !strings.Contains(err.Error(), "apt-get install qemu-utils") {
		t.Errorf("without qemu-img: %v", err)
	}
}
