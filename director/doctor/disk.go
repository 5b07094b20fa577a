package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"conpaas/director/config"
)

// Below these a disk is low, or as good as full.
const (
	lowBytes    = 512 << 20 // the director refuses archives below
	fullBytes   = 32 << 20
	lowShare    = 10 // one part of so many
	lowInodes   = 10000
	fullInodes  = 500
	lowInodePct = 5
)

// folder looks at the data folder and at the disks beneath it and the database.
func (m machine) folder(c *config.Config) []Finding {
	findings := []Finding{mayUse(c.Dir)}
	seen := map[uint64]bool{}
	for _, dir := range []string{c.Dir, filepath.Dir(c.Database)} {
		dir, device := existing(dir)
		if seen[device] {
			continue
		}
		seen[device] = true
		findings = append(findings, m.space(dir)...)
	}
	return findings
}

// mayUse tells whether the data folder can be written, by nobody else.
func mayUse(dir string) Finding {
	f := Finding{Check: "data folder", State: OK, Detail: dir}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Detail += " is not there yet; the first start makes it"
		dir, _ = existing(dir)
	case err != nil:
		return Finding{f.Check, Error, err.Error(), "run this as the user that the director runs as"}
	case !info.IsDir():
		return Finding{f.Check, Error, dir + " is no folder", "choose another one with --data"}
	case info.Mode().Perm()&0o077 != 0:
		return Finding{f.Check, Warning, fmt.Sprintf("%s is open to others (mode %o)", dir, info.Mode().Perm()), "chmod 700 " + dir}
	}
	if err := unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return Finding{f.Check, Error, fmt.Sprintf("%s cannot be written: %v", dir, err), "run this and the director as the user who owns it, and mount its disk writable"}
	}
	return f
}

// existing gives the folder, or the nearest above it that is there, and its device.
func existing(dir string) (string, uint64) {
	for {
		var s unix.Stat_t
		if err := unix.Stat(dir, &s); err == nil || dir == filepath.Dir(dir) {
			return dir, s.Dev
		}
		dir = filepath.Dir(dir)
	}
}

// space looks at the room on the disk of a folder.
func (m machine) space(dir string) []Finding {
	s, err := m.disk(dir)
	if err != nil {
		return []Finding{{"disk space", Error, fmt.Sprintf("look at the disk of %s: %v", dir, err), "mend the disk, or choose another folder with --data"}}
	}
	free, total := s.Bavail*uint64(s.Bsize), s.Blocks*uint64(s.Bsize)
	room := Finding{Check: "disk space", State: OK, Detail: fmt.Sprintf("%d of %d MiB are free for %s", free>>20, total>>20, dir)}
	switch reserved := max(lowBytes, total/lowShare); {
	case free < fullBytes:
		room.State, room.Remedy = Error, "make room, or move the folder to a larger disk: soon nothing can be changed any more"
	case free < reserved:
		room.State, room.Remedy = Warning, fmt.Sprintf("make room: below %d MiB the director takes no archives", reserved>>20)
	}
	if s.Files == 0 {
		return []Finding{room} // the file system makes inodes as it needs them
	}
	inodes := Finding{Check: "inodes", State: OK, Detail: fmt.Sprintf("%d of %d are free for %s", s.Ffree, s.Files, dir)}
	switch remedy := "remove small files from this disk, or move the folder to another"; {
	case s.Ffree < fullInodes:
		inodes.State, inodes.Remedy = Error, remedy
	case s.Ffree < min(lowInodes, s.Files*lowInodePct/100):
		inodes.State, inodes.Remedy = Warning, remedy
	}
	return []Finding{room, inodes}
}
