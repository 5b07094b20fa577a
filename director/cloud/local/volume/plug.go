package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/thread"
)

// ErrBusy says that programs of a machine use a volume.
var ErrBusy = errors.New("programs of the machine use it; stop them, or leave its directory")

// busyTime is how long programs that are just ending are awaited.
const busyTime = 2 * time.Second

// Plug shows a volume at a directory of the machine that a process belongs to, with its ids moved into the machine's. What is
// mounted there already stays: nobody but Plug mounts there.
func (s Store) Plug(ctx context.Context, r Record, pid int, point string, ids rootfs.Range) error {
	if is, err := plugged(pid, point); err != nil || is {
		return err
	}
	tree, err := s.tree(ctx, r)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := ids.Shift(ctx, tree, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
		return fmt.Errorf("give the files of volume %s to its machine: %w", r.ID, err)
	}
	s.Place("volume:tree")
	return inside(pid, func() error {
		if err := unix.MoveMount(tree, "", unix.AT_FDCWD, point, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount volume %s on %s: %w", r.ID, point, err)
		}
		return nil
	})
}

// tree gives a mount of the content that is not attached anywhere yet.
func (s Store) tree(ctx context.Context, r Record) (int, error) {
	switch r.Form {
	case Ext4:
		return mountFile(ctx, s.Content(r))
	case Directory:
		tree, err := unix.OpenTree(unix.AT_FDCWD, s.Content(r), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return -1, fmt.Errorf("clone the mount of volume %s: %w", r.ID, err)
		}
		return tree, nil
	}
	return -1, fmt.Errorf("%w: volume %s has the form %s, made under another RUNTIME; set that back", ErrMissing, r.ID, r.Form)
}

// Unplug takes away what Plug has shown. A machine that has ended has nothing any more.
func Unplug(ctx context.Context, pid int, point string) error {
	if is, err := plugged(pid, point); err != nil || !is {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, busyTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := inside(pid, func() error { return unix.Unmount(point, unix.UMOUNT_NOFOLLOW) })
		switch {
		case err == nil, errors.Is(err, os.ErrNotExist), errors.Is(err, unix.EINVAL):
			return nil
		case !errors.Is(err, unix.EBUSY):
			return fmt.Errorf("unmount %s: %w", point, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("unmount %s: %w", point, ErrBusy)
		}
	}
}

// plugged tells whether something is mounted on a directory of a process's machine.
func plugged(pid int, point string) (bool, error) {
	mounts, err := mount.Of(pid)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return false, nil // it has ended
	}
	for _, m := range mounts {
		if m.Point == point {
			return true, nil
		}
	}
	return false, err
}

// inside runs f on a thread that sees the mounts of a process.
func inside(pid int, f func() error) error {
	return thread.Do(func() error {
		space, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
		if err != nil {
			return fmt.Errorf("find the mounts of process %d: %w", pid, err)
		}
		defer space.Close()
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("enter the mounts of process %d: %w", pid, err)
		}
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("enter the mounts of process %d: %w", pid, err)
		}
		return f()
	})
}
