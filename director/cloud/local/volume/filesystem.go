package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrMissing is wrapped by errors about what the host lacks.
var ErrMissing = errors.New("the host cannot have volumes with a file system")

const makeProgram = "mke2fs"

// Missing names what the host lacks for the form Ext4.
func Missing() error {
	if _, err := exec.LookPath(makeProgram); err != nil {
		return fmt.Errorf("%w: it lacks %s; apt-get install e2fsprogs", ErrMissing, makeProgram)
	}
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: it has no loop devices: %w; modprobe loop, and for every boot: echo loop > /etc/modules-load.d/loop.conf", ErrMissing, err)
	}
	return control.Close()
}

// makeFileSystem makes an ext4 in a file, which stays sparse.
func makeFileSystem(ctx context.Context, path string) error {
	if err := Missing(); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, makeProgram, "-q", "-F", "-t", "ext4", "-m", "1", "-E", "root_owner=0:0,lazy_itable_init=1,nodiscard", path).CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", makeProgram, err, bytes.TrimSpace(out))
	}
	return nil
}

const loopControl = "/dev/loop-control"

// ErrHeld says that a file system is still mounted somewhere: a second mount would destroy it. That passes within a moment after the
// end of a machine.
var ErrHeld = errors.New("the volume is still mounted in a machine that is ending")

// heldTime is how long the end of a mount is awaited.
const heldTime = 5 * time.Second

// mountFile gives a mount of the file system in a file that is not attached anywhere yet. The loop device under it goes with it.
func mountFile(ctx context.Context, path string) (tree int, err error) {
	if err := free(ctx, path); err != nil {
		return -1, err
	}
	device, err := loop(path)
	if err != nil {
		return -1, err
	}
	defer device.Close() // the mount holds it
	fs, err := unix.Fsopen("ext4", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open the file system of a volume: %w", err)
	}
	defer unix.Close(fs)
	err = unix.FsconfigSetString(fs, "source", device.Name())
	if err == nil {
		err = unix.FsconfigCreate(fs)
	}
	if err != nil {
		return -1, fmt.Errorf("mount the file system of a volume: %w", err)
	}
	tree, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("mount the file system of a volume: %w", err)
	}
	return tree, nil
}

// free waits until no loop device has the file.
func free(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, heldTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		held, err := Held(path)
		if err != nil || !held {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ErrHeld
		}
	}
}

// Held tells whether a loop device has the file.
func Held(path string) (bool, error) {
	var file unix.Stat_t
	if err := unix.Stat(path, &file); err != nil {
		return false, fmt.Errorf("find the content of a volume: %w", err)
	}
	bound, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return false, fmt.Errorf("list the loop devices: %w", err)
	}
	for _, dir := range bound {
		device, err := os.Open(filepath.Join("/dev", filepath.Base(filepath.Dir(dir))))
		if err != nil {
			return false, fmt.Errorf("look at a loop device: %w", err)
		}
		info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
		_ = device.Close()
		if err == nil && info.Inode == file.Ino && info.Device == file.Dev {
			return true, nil
		}
	}
	return false, nil
}

// loop gives a file a loop device, which ends when nothing has it open or mounted.
func loop(path string) (*os.File, error) {
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("find a loop device: %w", err)
	}
	defer control.Close()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the content of a volume: %w", err)
	}
	defer file.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a loop device: %w", err)
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("open a loop device: %w", err)
		}
		c := unix.LoopConfig{Fd: uint32(file.Fd())}
		c.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		copy(c.Info.File_name[:len(c.Info.File_name)-1], path)
		err = unix.IoctlLoopConfigure(int(device.Fd()), &c)
		if err == nil {
			return device, nil
		}
		_ = device.Close()
		if !errors.Is(err, unix.EBUSY) { // else another has taken it meanwhile
			return nil, fmt.Errorf("give a volume the loop device %d: %w", n, err)
		}
	}
}
