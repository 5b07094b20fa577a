package disk

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

//go:embed appliance.ovf.tmpl
var ovf string

// machine fills the description of an appliance.
type machine struct {
	Name     string
	Disk     string // name of its file
	DiskSize int64  // bytes of the file
	Capacity int64  // bytes of the disk
	MemoryMB int
}

// appliance writes a VirtualBox appliance: an archive of the machine's description (OVF 1.1, DMTF DSP0243), its disk and
// their digests, in this order.
func appliance(ctx context.Context, raw, dir, out, name string, memory int) error {
	disk := filepath.Join(dir, "disk.vmdk")
	if err := writeVMDK(ctx, raw, disk); err != nil {
		return err
	}
	capacity, err := os.Stat(raw)
	if err != nil {
		return err
	}
	size, err := os.Stat(disk)
	if err != nil {
		return err
	}
	m := machine{Name: name, Disk: name + "-disk1.vmdk", DiskSize: size.Size(), Capacity: capacity.Size(), MemoryMB: memory}
	text, err := m.ovf()
	if err != nil {
		return err
	}
	return m.pack(ctx, text, disk, out)
}

// ovf gives the description.
func (m machine) ovf() ([]byte, error) {
	escape := func(text string) (string, error) {
		var b strings.Builder
		err := xml.EscapeText(&b, []byte(text))
		return b.String(), err
	}
	t, err := template.New("ovf").Funcs(template.FuncMap{"xml": escape}).Parse(ovf)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, m)
	return b.Bytes(), err
}

// pack writes the archive.
func (m machine) pack(ctx context.Context, text []byte, disk, out string) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer in.Close()
	archive := tar.NewWriter(f)
	var digests bytes.Buffer
	add := func(name string, size int64, r io.Reader) error {
		if err := archive.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, ModTime: time.Now().Truncate(time.Second), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		h := sha256.New()
		_, err := io.Copy(io.MultiWriter(archive, h), interruptible{ctx, r})
		fmt.Fprintf(&digests, "SHA256 (%s) = %x\n", name, h.Sum(nil))
		return err
	}
	if err := add(m.Name+".ovf", int64(len(text)), bytes.NewReader(text)); err != nil {
		return err
	}
	if err := add(m.Disk, m.DiskSize, in); err != nil {
		return err
	}
	manifest := bytes.Clone(digests.Bytes())
	if err := add(m.Name+".mf", int64(len(manifest)), bytes.NewReader(manifest)); err != nil {
		return err
	}
	return archive.Close()
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, errInterrupted
	}
	return i.r.Read(p)
}

// name gives the name of a machine by the file of its appliance.
func name(out string) string {
	name := strings.TrimSuffix(filepath.Base(out), ".ova")
	// Names of more bytes than this do not fit an archive that every reader reads.
	return strings.ToValidUTF8(name[:min(len(name), 80)], "")
}
