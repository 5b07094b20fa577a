// Package mount reads the mounts that this process sees and takes those below a directory away.
//
// It knows nothing of what is mounted or why.
package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mount is one line of /proc/self/mountinfo, proc_pid_mountinfo(5).
type Mount struct {
	Point   string   // where it is mounted
	Type    string   // of the file system, for example overlay
	Options []string // of the file system, for example the controllers of a cgroup v1 hierarchy
}

// List gives the mounts of this process in the order in which they lie upon each other.
func List() ([]Mount, error) { return list("/proc/self/mountinfo") }

// Of gives the mounts of another process, as that process sees them.
func Of(pid int) ([]Mount, error) { return list(fmt.Sprintf("/proc/%d/mountinfo", pid)) }

func list(path string) ([]Mount, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	defer f.Close()
	return parse(f)
}

func parse(r io.Reader) ([]Mount, error) {
	var mounts []Mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // an overlay names its directories in its line
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		before, after := strings.Fields(left), strings.Fields(right)
		if !ok || len(before) < 6 || len(after) < 3 {
			return nil, fmt.Errorf("the line %q of the list of mounts has an unknown form", lines.Text())
		}
		mounts = append(mounts, Mount{Point: unescape(before[4]), Type: after[0], Options: strings.Split(after[2], ",")})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	return mounts, nil
}

// unescape undoes \040 and its like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Under gives the mount points at and below a directory, the topmost last.
func Under(dir string) ([]string, error) {
	mounts, err := List()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range mounts {
		if m.Point == dir || strings.HasPrefix(m.Point, strings.TrimSuffix(dir, "/")+"/") {
			points = append(points, m.Point)
		}
	}
	return points, nil
}

// Is tells whether something is mounted at a path.
func Is(path string) (bool, error) {
	points, err := Under(path)
	return slices.Contains(points, path), err
}

// Unmount takes away what is mounted at a path, where something is. Processes that have just been killed may keep it
// busy for a moment; what stays busy is an error.
func Unmount(path string) error {
	const limit = 2 * time.Second
	var err error
	for begun := time.Now(); time.Since(begun) < limit; time.Sleep(5 * time.Millisecond) {
		err = unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	return fmt.Errorf("unmount %s: %w", path, err)
}

// Clear takes away everything that is mounted at and below a directory and gives the mount points.
func Clear(dir string) ([]string, error) {
	points, err := Under(dir)
	if err != nil {
		return nil, err
	}
	slices.Reverse(points)
	for i, p := range points {
		if err := Unmount(p); err != nil {
			return points[:i], err
		}
	}
	return points, nil
}
