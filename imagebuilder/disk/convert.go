package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// cluster is what qcow2 compresses at once, and a machine that runs from the image itself unpacks for each read: more saves
// nothing any more.
const cluster = "256k"

// Convert writes a raw disk as qcow2 (compressed), vdi or ova (a VirtualBox appliance with so much memory, MiB). A failure or an interruption
// leaves nothing.
func Convert(ctx context.Context, raw, format, out string, memory int) error {
	if err := convert(ctx, raw, format, out, memory); err != nil {
		return fmt.Errorf("convert %s to %s: %w", raw, format, err)
	}
	return nil
}

func convert(ctx context.Context, raw, format, out string, memory int) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(out), ".disk-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "disk."+format)
	switch format {
	case "qcow2":
		err = qemuImg(ctx, raw, "qcow2", file, "-c", "-o", "compression_type=zstd,cluster_size="+cluster)
	case "vdi":
		err = qemuImg(ctx, raw, "vdi", file)
	case "ova":
		err = appliance(ctx, raw, dir, file, name(out), memory)
	default:
		err = errors.New("not a format of disks; known: qcow2, vdi, ova")
	}
	if err != nil {
		return err
	}
	return os.Rename(file, out)
}

// qemuImg converts with as many threads as it has; the parts of the file need no order.
func qemuImg(ctx context.Context, raw, format, out string, options ...string) error {
	args := append([]string{"convert", "-q", "-W", "-m", "16", "-f", "raw", "-O", format}, options...)
	return run(ctx, Options{}, "qemu-img", append(args, raw, out)...)
}
