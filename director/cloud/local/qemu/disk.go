package qemu

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Format tells whether a disk image is raw or qcow2. One that refers to other files is refused: they would be read with
// the rights of the director.
func Format(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer f.Close()
	header := make([]byte, 80)
	n, err := io.ReadFull(f, header)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fmt.Errorf("%w: %s is no disk image: %w", ErrRefused, path, err)
	}
	const external = 1 << 2 // incompatible feature: the data is in another file
	if n < 80 || !bytes.HasPrefix(header, []byte("QFI\xfb")) {
		return "raw", nil
	}
	version, backing, features := binary.BigEndian.Uint32(header[4:]), binary.BigEndian.Uint64(header[8:]), binary.BigEndian.Uint64(header[72:])
	if backing != 0 || version >= 3 && features&external != 0 {
		return "", fmt.Errorf("%w: the image %s refers to another file; make it whole by qemu-img convert -O qcow2", ErrRefused, path)
	}
	return "qcow2", nil
}

// Machine is what a new machine's files are made of.
type Machine struct {
	Image    string // of its disk, which is not changed and must stay
	Firmware Firmware
	ID       string // of the instance, as cloud-init knows it
	Hostname string
	Address  netip.Prefix // with the length of the network's prefix
	MAC      string
	UserData []byte
}

// Make makes the files of a machine in its directory: a disk over the image, the firmware's variables, and the seed
// (NoCloud: a FAT volume cidata).
func (m Machine) Make(ctx context.Context, dir string) error {
	format, err := Format(m.Image)
	if err != nil {
		return err
	}
	if err := run(ctx, dir, nil, "qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", m.Image, disk); err != nil {
		return err
	}
	if m.Firmware == UEFI {
		text, err := os.ReadFile(ovmfVariables)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, variables), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy the firmware's variables: %w", err)
		}
	}
	return m.seed(ctx, dir)
}

// seed makes the volume that cloud-init looks for.
func (m Machine) seed(ctx context.Context, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, seed), make([]byte, 1440<<10), 0o600); err != nil {
		return fmt.Errorf("make the seed: %w", err)
	}
	if err := run(ctx, dir, nil, "mformat", "-i", seed, "-f", "1440", "-v", "CIDATA", "::"); err != nil {
		return err
	}
	files := []struct{ name, text string }{
		{"meta-data", fmt.Sprintf("instance-id: %s\nlocal-hostname: %s\n", m.ID, m.Hostname)},
		{"network-config", fmt.Sprintf("version: 2\nethernets:\n  cloud:\n    match:\n      macaddress: \"%s\"\n    addresses: [%s]\n", m.MAC, m.Address)},
		{"user-data", string(m.UserData)},
	}
	for _, f := range files {
		if err := run(ctx, dir, strings.NewReader(f.text), "mcopy", "-i", seed, "-", "::"+f.name); err != nil {
			return err
		}
	}
	return nil
}

// run runs a program in a directory.
func run(ctx context.Context, dir string, input io.Reader, args ...string) error {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.Stdin = dir, input
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args[:min(3, len(args))], " "), err, bytes.TrimSpace(out))
	}
	return nil
}
