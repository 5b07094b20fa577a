// Package volume keeps the volumes of a local cloud as files in a directory, and shows them in machines that run.
//
// A volume is a directory that appears and goes as a whole. What is shown of one is a mount that exists in its machine only: it
// ends with the machine, whatever becomes of the director. The package knows nothing of clouds, records of machines or
// emulators: whoever calls it says which process a machine is, and does not do two things to one volume at a time.
package volume

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
	"conpaas/director/cloud"
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

// The names of files and directories. What is partly there begins so.
const (
	noteFile = "volume.json"
	content  = "content"
	partly   = "partly-"
)

// Of the disk with the volumes, this much stays free whatever is promised: the director's database may be on it.
const reservedBytes = 512 << 20

var idForm = regexp.MustCompile(`^volume-[0-9a-f]{16}$`)

// Store is the directory with the volumes. Tidy comes before all other calls.
type Store struct {
	Dir   string
	Place func(place string) // called where a crash must do no harm
}

// Tidy makes the directory, and removes what was being made or removed when the last director ended.
func (s Store) Tidy() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of volumes: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir, partly+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("remove what is left of volumes: %w", err)
	}
	return nil
}

// List gives the volumes, the oldest first.
func (s Store) List() ([]Record, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the volumes: %w", err)
	}
	list := []Record{}
	for _, e := range entries {
		r, err := s.Find(cloud.VolumeID(e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Record) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// Find gives a volume. The error for one that is not there wraps fs.ErrNotExist.
func (s Store) Find(id cloud.VolumeID) (r Record, err error) {
	if !idForm.MatchString(string(id)) {
		return r, fmt.Errorf("volume %.80q: %w", id, fs.ErrNotExist)
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, string(id), noteFile))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read volume %s: %w", id, err)
	}
	return r, nil
}

// Add makes a volume, whose id, time and machine are set here. What fails leaves nothing.
func (s Store) Add(ctx context.Context, r Record) (_ Record, err error) {
	if err := s.room(r.SizeMiB); err != nil {
		return r, err
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	r.ID, r.Machine, r.Created = cloud.VolumeID("volume-"+hex.EncodeToString(b[:])), "", time.Now().UTC().Truncate(time.Millisecond)
	part := filepath.Join(s.Dir, partly+string(r.ID))
	if err := os.Mkdir(part, 0o700); err != nil {
		return r, fmt.Errorf("make a volume: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	s.Place("volume:directory")
	if err := r.fill(ctx, filepath.Join(part, content)); err != nil {
		return r, fmt.Errorf("make a volume: %w", err)
	}
	s.Place("volume:filled")
	if err := r.write(part); err != nil {
		return r, err
	}
	if err := os.Rename(part, filepath.Join(s.Dir, string(r.ID))); err != nil {
		return r, fmt.Errorf("make a volume: %w", err)
	}
	s.Place("volume:made")
	return r, flush(s.Dir)
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

func (r Record) write(dir string) error {
	note, err := json.Marshal(r)
	if err == nil {
		err = daemon.WriteFile(filepath.Join(dir, noteFile), note, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep volume %s: %w", r.ID, err)
	}
	return nil
}

// Give notes which machine may have a volume; "" is none.
func (s Store) Give(r Record, machine cloud.MachineID) (Record, error) {
	if r.Machine == machine {
		return r, nil
	}
	r.Machine = machine
	return r, r.write(filepath.Join(s.Dir, string(r.ID)))
}

// Content is the file or the directory with the content of a volume.
func (s Store) Content(r Record) string { return filepath.Join(s.Dir, string(r.ID), content) }

// Remove removes a volume that no machine has. One that is not there is no error.
func (s Store) Remove(id cloud.VolumeID) error {
	if !idForm.MatchString(string(id)) {
		return nil
	}
	part := filepath.Join(s.Dir, partly+string(id))
	err := os.Rename(filepath.Join(s.Dir, string(id)), part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s.Place("volume:removed")
	if err = errors.Join(err, os.RemoveAll(part)); err != nil {
		return fmt.Errorf("remove volume %s: %w", id, err)
	}
	return nil
}

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

// flush writes the names in a directory to the disk.
func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write the names of volumes: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
