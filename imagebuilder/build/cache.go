package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/imagebuilder/recipe"
)

// Image is a finished image in the cache.
type Image struct {
	Key      string            `json:"key"` // digest of all that its content depends on
	Format   recipe.Format     `json:"format"`
	Services []api.ServiceType `json:"services"`
	Packages []string          `json:"packages"` // those that were asked for
	Created  time.Time         `json:"created"`
	Size     int64             `json:"size"`   // bytes
	SHA256   string            `json:"sha256"` // of the file
	Path     string            `json:"path"`
}

const (
	noteSuffix = ".json"  // note about an image, written last: without it there is no image
	workPrefix = ".work-" // a build under way
)

// lookup gives the image of a key, if it is there and has its size.
func lookup(cache, key string) (Image, bool) {
	text, err := os.ReadFile(filepath.Join(cache, key+noteSuffix))
	if err != nil {
		return Image{}, false
	}
	var image Image
	if json.Unmarshal(text, &image) != nil || image.Key != key {
		return Image{}, false
	}
	image.Path = filepath.Join(cache, key+"."+extension(image.Format))
	if info, err := os.Stat(image.Path); err != nil || info.Size() != image.Size {
		return Image{}, false
	}
	return image, true
}

// List gives the images of a cache, the newest first. A cache that does not exist is empty.
func List(cache string) ([]Image, error) {
	entries, err := os.ReadDir(cache)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the images: %w", err)
	}
	list := []Image{}
	for _, e := range entries {
		if key, ok := strings.CutSuffix(e.Name(), noteSuffix); ok {
			if image, ok := lookup(cache, key); ok {
				list = append(list, image)
			}
		}
	}
	slices.SortFunc(list, func(a, b Image) int { return b.Created.Compare(a.Created) })
	return list, nil
}

// store moves a finished file into the cache and notes it.
func store(cache string, image Image, file string) (Image, error) {
	var err error
	if image.Size, image.SHA256, err = digest(file); err != nil {
		return Image{}, fmt.Errorf("keep the image: %w", err)
	}
	image.Path = filepath.Join(cache, image.Key+"."+extension(image.Format))
	note, err := json.MarshalIndent(image, "", "  ")
	if err != nil {
		return Image{}, fmt.Errorf("keep the image: %w", err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		return Image{}, fmt.Errorf("keep the image: %w", err)
	}
	if err := os.Rename(file, image.Path); err != nil {
		return Image{}, fmt.Errorf("keep the image: %w", err)
	}
	if err := daemon.WriteFile(filepath.Join(cache, image.Key+noteSuffix), append(note, '\n'), 0o644); err != nil {
		return Image{}, errors.Join(fmt.Errorf("keep the image: %w", err), os.Remove(image.Path))
	}
	return image, nil
}

func digest(file string) (size int64, sum string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return 0, "", err
	}
	return size, hex.EncodeToString(h.Sum(nil)), f.Sync()
}

// Newest makes the image the one that the link rootfs.tar (by the format's name and extension) in its cache leads to,
// where a director looks for the image of its local cloud when it is told of none.
func (i Image) Newest() error {
	link := filepath.Join(filepath.Dir(i.Path), string(i.Format)+"."+extension(i.Format))
	if have, err := os.Readlink(link); err == nil && have == filepath.Base(i.Path) {
		return nil
	}
	next := fmt.Sprintf("%s.%d", link, os.Getpid())
	if err := os.Symlink(filepath.Base(i.Path), next); err != nil {
		return fmt.Errorf("name the newest image: %w", err)
	}
	if err := os.Rename(next, link); err != nil {
		return errors.Join(fmt.Errorf("name the newest image: %w", err), os.Remove(next))
	}
	return nil
}

// Export copies an image to a file of the caller's choice, which is replaced in one step.
func (i Image) Export(file string) (err error) {
	in, err := os.Open(i.Path)
	if err != nil {
		return fmt.Errorf("export the image: %w", err)
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("export the image: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err == nil {
		err = os.Rename(out.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("export the image: %w", err), os.Remove(out.Name()))
	}
	return nil
}

// lock waits until no other build in the cache is under way and gives the file that holds the lock, which is the directory
// itself so that nothing is left of it. Closing it, here and in every process that has inherited it, gives the lock back.
// waiting is called once if it has to wait.
func lock(ctx context.Context, cache string, waiting func()) (*os.File, error) {
	f, err := os.Open(cache)
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w", err)
	}
	tick := time.NewTicker(100 * time.Millisecond) // a blocking flock could not be called off
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock the cache: %s: %w", cache, err), f.Close())
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(errInterrupted, f.Close())
		case <-tick.C:
		}
	}
}

// removeWork removes what builds that were killed have left. The caller has the lock.
func removeWork(cache string) error {
	left, err := filepath.Glob(filepath.Join(cache, workPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("remove what an earlier build has left: %w", err)
	}
	return nil
}

func extension(f recipe.Format) string {
	if f == recipe.FormatRootFS {
		return "tar"
	}
	return string(f)
}
