package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// slots is how many volumes a machine can have.
const slots = 12

func slot(n int) string { return fmt.Sprintf("slot%d", n) }

// ErrHeld says that the system of a machine does not let go of a volume.
var ErrHeld = errors.New("the machine's system does not let go of it; it may not have booted yet")

// unplugTime is how long a machine's system may take to let go of a volume.
const unplugTime = 10 * time.Second

// Serial is what a machine's system knows a volume by.
func Serial(volume string) string {
	_, serial, _ := strings.Cut(volume, "-")
	return serial[:min(len(serial), 20)] // virtio has no room for more
}

// Device is the name by which Debian's udev makes a volume known.
func Device(volume string) string { return "/dev/disk/by-id/virtio-" + Serial(volume) }

// Plug gives a file to the machine in a directory as a disk. One that it has already stays.
func Plug(ctx context.Context, path, volume, file string) error {
	return talk(ctx, path, func(t *conversation) error {
		has, err := t.has(volume)
		if err != nil || has {
			return err
		}
		if err := t.open(volume, file); err != nil {
			return err
		}
		for n := range slots {
			err = t.tell("device_add", map[string]any{"driver": "virtio-blk-pci", "id": volume, "drive": volume, "bus": slot(n), "serial": Serial(volume)}, nil, nil)
			if !errors.Is(err, errSaid) { // else the slot is taken
				return err
			}
		}
		return err
	})
}

// has tells whether the machine has the disk.
func (t *conversation) has(volume string) (bool, error) {
	var devices []struct {
		Name string `json:"name"`
	}
	err := t.tell("qom-list", map[string]string{"path": "/machine/peripheral"}, &devices, nil)
	for _, d := range devices {
		if d.Name == volume {
			return true, nil
		}
	}
	return false, err
}

// open gives the emulator the file, which it could not open itself, unless it has it.
func (t *conversation) open(volume, file string) error {
	var nodes []struct {
		Name string `json:"node-name"`
	}
	if err := t.tell("query-named-block-nodes", map[string]bool{"flat": true}, &nodes, nil); err != nil {
		return err
	}
	if slices.ContainsFunc(nodes, func(n struct {
		Name string `json:"node-name"`
	},
	) bool {
		return n.Name == volume
	}) {
		return nil
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open a volume: %w", err)
	}
	defer f.Close()
	var set struct {
		ID int `json:"fdset-id"`
	}
	if err := t.tell("add-fd", nil, &set, f); err != nil {
		return err
	}
	disk := map[string]any{
		"driver": "raw", "node-name": volume, "discard": "unmap",
		"file": map[string]any{"driver": "file", "filename": fmt.Sprintf("/dev/fdset/%d", set.ID), "discard": "unmap"},
	}
	err = t.tell("blockdev-add", disk, nil, nil)
	// Where the disk was made it has copies of its own.
	return errors.Join(err, t.tell("remove-fd", map[string]int{"fdset-id": set.ID}, nil, nil))
}

// Unplug takes a disk from the machine in a directory, when its system lets go of it.
func Unplug(ctx context.Context, path, volume string) error {
	return talk(ctx, path, func(t *conversation) error {
		has, err := t.has(volume)
		if err != nil {
			return err
		}
		for begun := time.Now(); has; {
			if err := t.tell("device_del", map[string]string{"id": volume}, nil, nil); err != nil && !errors.Is(err, errSaid) {
				return err // one that is being unplugged already is refused
			}
			if time.Since(begun) > unplugTime {
				return ErrHeld
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-t.ctx.Done():
				return t.ctx.Err()
			}
			if has, err = t.has(volume); err != nil {
				return err
			}
		}
		err = t.tell("blockdev-del", map[string]string{"node-name": volume}, nil, nil)
		if errors.Is(err, errSaid) {
			return nil // it has none
		}
		return err
	})
}
