package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/mount"
)

// Range is the part of the host's user and group ids that machines use. Where First is 0, this process is root of a user
// namespace only, and machines have its ids.
type Range struct{ First, Size uint32 }

// own tells whether machines have the ids of this process.
func (r Range) own() bool { return r.First == 0 }

// Share shows the image read-only at a directory with its ids moved into the range, so that many machines can have it
// as their own. What is mounted there already stays.
func (i Image) Share(ctx context.Context, point string, ids Range) error {
	if is, err := mount.Is(point); err != nil || is {
		return err
	}
	if err := os.MkdirAll(point, 0o711); err != nil {
		return fmt.Errorf("share the image: %w", err)
	}
	tree, err := mapped(ctx, i.Dir, ids)
	if err != nil {
		return fmt.Errorf("share the image %s: %w", i.Dir, err)
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, point, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("share the image: mount it on %s: %w", point, err)
	}
	return nil
}

// Mappable tells whether the file system of a directory can show its files with other ids.
func Mappable(ctx context.Context, dir string, ids Range) error {
	tree, err := mapped(ctx, dir, ids)
	if err != nil {
		return err
	}
	return unix.Close(tree)
}

// mapped makes a read-only mount of dir with moved ids that is not attached anywhere yet.
func mapped(ctx context.Context, dir string, ids Range) (int, error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("clone the mount of %s: %w", dir, err)
	}
	if err := ids.Shift(ctx, tree, unix.MOUNT_ATTR_RDONLY); err != nil {
		_ = unix.Close(tree)
		return -1, fmt.Errorf("move the ids of %s, which needs Linux 5.19 and a file system such as ext4, xfs or btrfs: %w", dir, err)
	}
	return tree, nil
}

// Shift gives a mount that is not attached anywhere yet these attributes, and moves its ids into the range.
func (r Range) Shift(ctx context.Context, tree int, attributes uint64) error {
	attr := unix.MountAttr{Attr_set: attributes}
	if !r.own() {
		user, err := userNamespace(ctx, r)
		if err != nil {
			return err
		}
		defer user.Close()
		attr.Attr_set, attr.Userns_fd = attr.Attr_set|unix.MOUNT_ATTR_IDMAP, uint64(user.Fd())
	}
	return unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr)
}

// userNamespace makes a user namespace with the mapping of the range. A process has to be in it while it is opened.
func userNamespace(ctx context.Context, ids Range) (*os.File, error) {
	wait, release, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a user namespace: %w", err)
	}
	mapping := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(ids.First), Size: int(ids.Size)}}
	holder := exec.CommandContext(ctx, "/bin/sh", "-c", "read forever")
	holder.Stdin, holder.Dir, holder.Env = wait, "/", []string{}
	holder.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: mapping, GidMappings: mapping, GidMappingsEnableSetgroups: true,
	}
	err = holder.Start()
	_ = wait.Close()
	if err != nil {
		return nil, fmt.Errorf("make a user namespace (sysctl user.max_user_namespaces must not be 0): %w", errors.Join(err, release.Close()))
	}
	user, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", holder.Process.Pid))
	_ = release.Close()
	_ = holder.Wait() // its read ends with the pipe, so its result is always that of a failed read
	if err != nil {
		return nil, fmt.Errorf("open the user namespace: %w", err)
	}
	return user, nil
}

// Overlay is the file system of one machine: what it writes goes to a directory of its own.
type Overlay struct {
	Lower string // where the image is shared
	Dir   string // gets upper and work
	Point string // where the machine's root appears; the directories above its parent are open to all
	IDs   Range  // root of the machine is the first one
}

// ErrPath says that a directory cannot be part of an overlay.
var ErrPath = errors.New("the characters : , \\ and line breaks are not allowed in paths of machines")

// CheckPath refuses paths that the options of an overlay cannot carry.
func CheckPath(path string) error {
	if strings.ContainsAny(path, ":,\\\n\"") {
		return fmt.Errorf("%s: %w", path, ErrPath)
	}
	return nil
}

// Write puts a file into the machine's own part, with the directories above it, before or after the mount is made. The
// name is absolute, as the machine sees it.
func (o Overlay) Write(name string, content []byte, mode os.FileMode) error {
	upper := filepath.Join(o.Dir, "upper")
	if err := o.mkdir(upper); err != nil {
		return err
	}
	root, err := os.OpenRoot(upper)
	if err != nil {
		return fmt.Errorf("write %s of a machine: %w", name, err)
	}
	defer root.Close()
	inside, owner := strings.TrimPrefix(name, "/"), int(o.IDs.First)
	if err := makeDirs(root, filepath.Dir(inside), owner, owner); err != nil {
		return fmt.Errorf("write %s of a machine: %w", name, err)
	}
	err = root.WriteFile(inside, content, mode)
	if err := errors.Join(err, root.Lchown(inside, owner, owner), root.Chmod(inside, mode)); err != nil {
		return fmt.Errorf("write %s of a machine: %w", name, err)
	}
	return nil
}

// MakeDir makes a directory of the machine, with those above it, while it is mounted. The name is absolute, as the machine sees it;
// one that leads through links out of the machine is an error.
func (o Overlay) MakeDir(name string) error {
	root, err := os.OpenRoot(o.Point)
	if err != nil {
		return fmt.Errorf("make %s of a machine: %w", name, err)
	}
	defer root.Close()
	if err := makeDirs(root, strings.TrimPrefix(name, "/"), int(o.IDs.First), int(o.IDs.First)); err != nil {
		return fmt.Errorf("make %s of a machine: %w", name, err)
	}
	return nil
}

// mkdir makes a directory that belongs to the machine's root.
func (o Overlay) mkdir(dir string) error {
	owner := int(o.IDs.First)
	err := os.MkdirAll(dir, 0o755)
	if err := errors.Join(err, os.Lchown(dir, owner, owner), os.Chmod(dir, 0o755)); err != nil {
		return fmt.Errorf("make a directory of a machine: %w", err)
	}
	return nil
}

// Mount makes the machine's root appear. What is mounted there already stays.
func (o Overlay) Mount() error {
	if is, err := mount.Is(o.Point); err != nil || is {
		return err
	}
	upper, work := filepath.Join(o.Dir, "upper"), filepath.Join(o.Dir, "work")
	for _, dir := range []string{upper, work} {
		if err := o.mkdir(dir); err != nil {
			return err
		}
	}
	if err := passable(o.Point); err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", o.Lower, upper, work)
	if o.IDs.own() {
		options += ",userxattr" // the attributes that overlays have otherwise are for the host's root only
	}
	if err := unix.Mount("overlay", o.Point, "overlay", unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount the root of a machine on %s: %w", o.Point, err)
	}
	return nil
}

// passable makes a mount point that the machine's root, who is nobody on the host, can come to.
func passable(point string) error {
	err := os.MkdirAll(point, 0o711)
	if err := errors.Join(err, os.Chmod(point, 0o711), os.Chmod(filepath.Dir(point), 0o711)); err != nil {
		return fmt.Errorf("make the mount point of a machine: %w", err)
	}
	return nil
}

// Unmount makes the machine's root disappear; its files stay.
func (o Overlay) Unmount() error {
	if err := mount.Unmount(o.Point); err != nil {
		return err
	}
	if err := os.Remove(o.Point); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the mount point of a machine: %w", err)
	}
	return nil
}
