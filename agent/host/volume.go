package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Mounted tells whether something is mounted at an absolute path of the machine.
func (h *Host) Mounted(path string) (bool, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, fmt.Errorf("list the mounts: %w", err)
	}
	point := h.at(path)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == point { // names of volumes need no escapes
			return true, nil
		}
	}
	return false, nil
}

func (h *Host) at(path string) string { return filepath.Join("/", h.root, path) }

// Mount mounts a block device at an absolute path of the machine, unless something is mounted there. A device without content gets a
// file system first; one with any other content than ext4 is an error and stays as it is.
func (h *Host) Mount(ctx context.Context, device, path string) error {
	if is, err := h.Mounted(path); err != nil || is {
		return err
	}
	blank, err := blank(device)
	if err != nil {
		return fmt.Errorf("look at device %s: %w", device, err)
	}
	if blank {
		if err := h.format(ctx, device); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(h.at(path), 0o755); err != nil {
		return fmt.Errorf("make directory %s: %w", path, err)
	}
	if err := unix.Mount(device, h.at(path), "ext4", unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mount device %s, which is not blank, at %s: %w", device, path, err)
	}
	return nil
}

// The first part of a device: one that begins with making was blank when a file system was begun on it.
const (
	beginning = 1 << 20
	making    = "conpaas: a file system is being made\n"
)

// blank tells whether nothing is on a device.
func blank(device string) (bool, error) {
	f, err := os.Open(device)
	if err != nil {
		return false, err
	}
	defer f.Close()
	first := make([]byte, beginning)
	n, err := io.ReadFull(f, first)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.HasPrefix(first, []byte(making)) || len(bytes.Trim(first[:n], "\x00")) == 0, nil
}

// format makes a file system. The device says so from the beginning, so that it is done again after the end of the agent meanwhile.
func (h *Host) format(ctx context.Context, device string) error {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("make a file system on %s: %w", device, err)
	}
	_, err = f.WriteAt([]byte(making), 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("make a file system on %s: %w", device, err)
	}
	program, err := h.Look("mke2fs")
	if err != nil {
		return err
	}
	out, exit, err := h.Command(ctx, Command{Path: program, Args: []string{"-q", "-F", "-t", "ext4", "-m", "1", device}})
	if err != nil || exit != 0 {
		return fmt.Errorf("make a file system on %s: exit %d: %s %w", device, exit, bytes.TrimSpace(out), err)
	}
	// mke2fs leaves the first sector, which is not its own, as it was.
	if f, err = os.OpenFile(device, os.O_WRONLY, 0); err != nil {
		return fmt.Errorf("make a file system on %s: %w", device, err)
	}
	_, err = f.WriteAt(make([]byte, len(making)), 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("make a file system on %s: %w", device, err)
	}
	return nil
}

// Unmount ends what Mount has done. It is an error while programs use what is there.
func (h *Host) Unmount(path string) error {
	if is, err := h.Mounted(path); err != nil || !is {
		return err
	}
	err := unix.Unmount(h.at(path), unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("unmount %s: programs of the machine use it; stop them, or leave its directory", path)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}
