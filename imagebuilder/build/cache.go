package build

import (
	"bytes"
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
	"conpaas/imagebuilder/sbom"
)

// Image is a finished image in the cache.
type Image struct {
	Key          string             `json:"key"` // digest of all that its content depends on
	Format       recipe.Format      `json:"format"`
	Compression  recipe.Compression `json:"compression,omitempty"`
	Architecture string             `json:"architecture"`
	Services     []api.ServiceType  `json:"services"`
	Nutshell     bool               `json:"nutshell,omitempty"` // a whole installation; the services are those of its machines
	Packages     []string           `json:"packages"`           // those that were asked for
	Installed    int                `json:"installed"`          // how many packages it holds with all that they need
	Created      time.Time          `json:"created"`            // when its packages were fetched
	Size         int64              `json:"size"`               // bytes
	SHA256       string             `json:"sha256"`             // of the file
	Path         string             `json:"path"`
	Manifest     string             `json:"manifest"` // file with name, version and architecture of each package in a line
	SBOM         string             `json:"sbom"`     // file with the bill of materials, SPDX 2.3 as JSON
}

const (
	noteSuffix     = ".json"  // note about an image, written last: without it there is no image
	workPrefix     = ".work-" // a build under way
	manifestSuffix = ".packages"
	sbomSuffix     = ".spdx.json"
)

// at sets the paths of an image in a cache.
func (i *Image) at(cache string) {
	base := filepath.Join(cache, i.Key)
	i.Path, i.Manifest, i.SBOM = base+"."+extension(i.Format, i.Compression), base+manifestSuffix, base+sbomSuffix
}

// note is what a cache keeps about the image.
func (i Image) note() ([]byte, error) {
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("note the image: %w", err)
	}
	return append(text, '\n'), nil
}

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
	image.at(cache)
	if info, err := os.Stat(image.Path); err != nil || info.Size() != image.Size {
		return Image{}, false
	}
	for _, beside := range []string{image.Manifest, image.SBOM} {
		if _, err := os.Stat(beside); err != nil {
			return Image{}, false
		}
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

// store moves a finished file into the cache, with its manifest and its bill of materials, and notes it.
func store(cache string, image Image, file string, contents sbom.Contents) (_ Image, err error) {
	if image.Size, image.SHA256, err = digest(file); err != nil {
		return Image{}, fmt.Errorf("keep the image: %w", err)
	}
	image.at(cache)
	image.Installed = len(contents.Packages)
	note, err := image.note()
	if err != nil {
		return Image{}, err
	}
	var manifest, bill bytes.Buffer
	err = errors.Join(contents.Manifest(&manifest), contents.SPDX(&bill, sbom.Image{
		Name: image.title(), SHA256: image.SHA256, Container: !image.Format.Disk(), Distribution: recipe.Distribution,
		Created: image.Created, Tool: "cpsimage-" + daemon.Version,
	}), os.Chmod(file, 0o644))
	if err != nil {
		return Image{}, fmt.Errorf("keep the image: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep the image: %w", err)
			for _, name := range []string{image.Path, image.Manifest, image.SBOM} {
				if gone := os.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
					err = errors.Join(err, gone)
				}
			}
		}
	}()
	if err := os.Rename(file, image.Path); err != nil {
		return Image{}, err
	}
	if err := daemon.WriteFile(image.Manifest, manifest.Bytes(), 0o644); err != nil {
		return Image{}, err
	}
	if err := daemon.WriteFile(image.SBOM, bill.Bytes(), 0o644); err != nil {
		return Image{}, err
	}
	if err := daemon.WriteFile(filepath.Join(cache, image.Key+noteSuffix), note, 0o644); err != nil {
		return Image{}, err
	}
	return image, nil
}

// title tells in a line what the image is.
func (i Image) title() string {
	r := recipe.Recipe{Format: i.Format, Architecture: i.Architecture, Services: i.Services}
	if i.Nutshell {
		r.Nutshell = &recipe.Nutshell{}
	}
	return r.String()
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
	link := filepath.Join(filepath.Dir(i.Path), string(i.Format)+"."+extension(i.Format, i.Compression))
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
