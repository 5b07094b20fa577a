// Package volume keeps the volumes of a local cloud as files in a directory, and shows them in machines that run.
//
// A volume is a directory that appears and goes as a whole. What is shown of one is a mount that exists in its machine only: it
// ends with the machine, whatever becomes of the director. The package knows nothing of clouds, records of machines or
// emulators: whoever calls it says which process a machine is, and does not do two things to one volume at a time.
package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/shelf"
)

// Form says how the content of a volume is kept.
type Form string

// The forms.
const (
	Ext4      Form = "ext4"      // a file with a file system
	Disk      Form = "disk"      // a file without content, for machines with a kernel of their own
	Directory Form = "directory" // a directory, whose size nothing limits
)

// Record is what is kept of a volume.
type Record struct {
	ID      cloud.VolumeID  `json:"id"`
	Token   string          `json:"token"`
	Name    string          `json:"name"` // of the mount point
	SizeMiB int             `json:"size_mib"`
	Form    Form            `json:"form"`
	Created time.Time       `json:"created"`
	Machine cloud.MachineID `json:"machine,omitempty"` // that has it, or may have it
}

// Of the disk with the volumes, this much stays free whatever is promised: the director's database may be on it.
const reservedBytes = 512 << 20

const content = "content"

// Store is the directory with the volumes. Tidy comes before all other calls.
type Store struct {
	Dir   string
	Place func(place string) // called where a crash must do no harm
}

func (s Store) shelf() shelf.Shelf[Record] {
	return shelf.Shelf[Record]{Dir: s.Dir, Kind: "volume", Place: s.Place}
}

// Tidy makes the directory, and removes what was being made or removed when the last director ended.
func (s Store) Tidy() error { return s.shelf().Tidy() }

// List gives the volumes, the oldest first.
func (s Store) List() ([]Record, error) {
	return s.shelf().List(func(a, b Record) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
}

// Find gives a volume. The error for one that is not there wraps fs.ErrNotExist.
func (s Store) Find(id cloud.VolumeID) (Record, error) { return s.shelf().Find(string(id)) }

// Add makes a volume, whose id, time and machine are set here. What fails leaves nothing.
func (s Store) Add(ctx context.Context, r Record) (Record, error) {
	if err := s.room(r.SizeMiB); err != nil {
		return r, err
	}
	id := s.shelf().NewID()
	r.ID, r.Machine, r.Created = cloud.VolumeID(id), "", time.Now().UTC().Truncate(time.Millisecond)
	if err := s.shelf().Add(id, r, func(dir string) error { return r.fill(ctx, filepath.Join(dir, content)) }); err != nil {
		return r, fmt.Errorf("make a volume: %w", err)
	}
	return r, nil
}

// fill makes the content of a new volume. The root of its file system is the machine's root's.
func (r Record) fill(ctx context.Context, path string) error {
	if r.Form == Directory {
		return os.Mkdir(path, 0o755)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(int64(r.SizeMiB)<<20), f.Close()); err != nil || r.Form == Disk {
		return err
	}
	return makeFileSystem(ctx, path)
}

// Give notes which machine may have a volume; "" is none.
func (s Store) Give(r Record, machine cloud.MachineID) (Record, error) {
	if r.Machine == machine {
		return r, nil
	}
	r.Machine = machine
	return r, s.shelf().Write(string(r.ID), r)
}

// Content is the file or the directory with the content of a volume.
func (s Store) Content(r Record) string { return filepath.Join(s.Dir, string(r.ID), content) }

// Remove removes a volume that no machine has. One that is not there is no error.
func (s Store) Remove(id cloud.VolumeID) error { return s.shelf().Remove(string(id)) }

// room refuses a volume that the disk could not hold if it were full. Files grow as they are written, so others may take the
// room later.
func (s Store) room(sizeMiB int) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.Dir, &fs); err != nil {
		return fmt.Errorf("free space of %s: %w", s.Dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free-reservedBytes < int64(sizeMiB)<<20 {
		return fmt.Errorf("the disk of %s has %d MiB free, of which %d MiB stay free: too few for a volume of %d MiB; remove volumes that are not needed: %w",
			s.Dir, free>>20, reservedBytes>>20, sizeMiB, unix.ENOSPC)
	}
	return nil
}
