package disk

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rawFile is a raw disk that does not boot, of 5 MiB with some bytes on it.
func rawFile(t *testing.T) string {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw, []byte(strings.Repeat("conpaas ", 20000)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(raw, 5*mib); err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestConvert: qemu finds the same disk in what is made.
func TestConvert(t *testing.T) {
	t.Parallel()
	raw := rawFile(t)
	for _, format := range []string{"qcow2", "vdi"} {
		dir := t.TempDir()
		out := filepath.Join(dir, "disk")
		if err := Convert(t.Context(), raw, format, out, 1024); err != nil {
			t.Fatal(err)
		}
		var info struct {
			Format string `json:"format"`
			Size   int64  `json:"virtual-size"`
			More   struct {
				Data struct {
					Compression string `json:"compression-type"`
				} `json:"data"`
			} `json:"format-specific"`
		}
		if err := json.Unmarshal([]byte(output(t, "qemu-img", "info", "--output=json", out)), &info); err != nil || info.Format != format || info.Size != 5*mib {
			t.Errorf("%+v, %v, want %s", info, err, format)
		}
		if want := map[string]string{"qcow2": "zstd"}[format]; info.More.Data.Compression != want {
			t.Errorf("%s is compressed by %q, want %q", format, info.More.Data.Compression, want)
		}
		output(t, "qemu-img", "compare", "-F", "raw", "-f", format, out, raw)
		if left := output(t, "ls", "-A", dir); left != "disk\n" {
			t.Errorf("left: %q", left)
		}
	}
}

// TestAppliance: an appliance is the description first, the disk that it names, and the digests of both.
func TestAppliance(t *testing.T) {
	t.Parallel()
	raw, out := rawFile(t), filepath.Join(t.TempDir(), "R & D.ova")
	if err := Convert(t.Context(), raw, "ova", out, 1024); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	texts, digests := map[string]string{}, ""
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		names, texts[h.Name] = append(names, h.Name), string(text)
		if !strings.HasSuffix(h.Name, ".mf") {
			digests += fmt.Sprintf("SHA256 (%s) = %x\n", h.Name, sha256.Sum256(text))
		}
	}
	if got := strings.Join(names, "|"); got != "R & D.ovf|R & D-disk1.vmdk|R & D.mf" {
		t.Fatal(got)
	}
	if texts["R & D.mf"] != digests {
		t.Errorf("%s, want %s", texts["R & D.mf"], digests)
	}
	var envelope struct {
		File struct {
			Href string `xml:"href,attr"`
			Size int64  `xml:"size,attr"`
		} `xml:"References>File"`
		Disk struct {
			Capacity int64 `xml:"capacity,attr"`
		} `xml:"DiskSection>Disk"`
		System struct {
			ID    string `xml:"id,attr"`
			Types []int  `xml:"VirtualHardwareSection>Item>ResourceType"`
		} `xml:"VirtualSystem"`
	}
	if err := xml.Unmarshal([]byte(texts["R & D.ovf"]), &envelope); err != nil {
		t.Fatal(err)
	}
	if e := envelope; e.File.Href != names[1] || e.File.Size != int64(len(texts[names[1]])) || e.Disk.Capacity != 5*mib || e.System.ID != "R & D" || fmt.Sprint(e.System.Types) != "[3 4 5 17 10]" {
		t.Errorf("%+v", e)
	}
	vmdk := filepath.Join(t.TempDir(), "disk.vmdk")
	if err := os.WriteFile(vmdk, []byte(texts[names[1]]), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, "qemu-img", "compare", "-F", "raw", "-f", "vmdk", vmdk, raw)
}

// TestNoConversion: what cannot be converted leaves nothing.
func TestNoConversion(t *testing.T) {
	t.Parallel()
	called, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	for _, c := range []struct {
		ctx               context.Context
		raw, format, says string
	}{
		{t.Context(), rawFile(t), "iso", "not a format of disks"},
		{t.Context(), filepath.Join(dir, "none"), "qcow2", "none"},
		{called, rawFile(t), "ova", "interrupted"},
	} {
		if err := Convert(c.ctx, c.raw, c.format, filepath.Join(dir, "out"), 1024); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
		checkEmpty(t, dir)
	}
}
