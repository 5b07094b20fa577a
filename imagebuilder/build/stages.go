package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"conpaas/client/daemon"
	"conpaas/imagebuilder/container"
	"conpaas/imagebuilder/disk"
	"conpaas/imagebuilder/recipe"
	"conpaas/imagebuilder/sbom"
)

// rootPrefix begins the names of root file systems in a cache, which are kept for other formats.
const rootPrefix = ".root-"

// root is a root file system in the cache.
type root struct {
	Key     string    `json:"key"`
	Created time.Time `json:"created"`
	Size    int64     `json:"size"` // bytes
	path    string
}

func lookupRoot(cache, key string) (root, bool) {
	base := filepath.Join(cache, rootPrefix+key)
	text, err := os.ReadFile(base + noteSuffix)
	if err != nil {
		return root{}, false
	}
	found := root{path: base + ".tar"}
	if json.Unmarshal(text, &found) != nil || found.Key != key {
		return root{}, false
	}
	info, err := os.Stat(found.path)
	return found, err == nil && info.Size() == found.Size
}

// rootFS gives the root file system of the recipe: from the cache, or made now.
func (w *work) rootFS(ctx context.Context) (root, error) {
	if found, ok := lookupRoot(w.cache, w.root); ok && w.recent(found.Created) {
		return found, nil
	}
	began := time.Now()
	file, err := bootstrap{recipe: w.recipe, sources: w.options.Sources, runs: w.runs, work: w.dir, held: w.held, step: w.step}.run(ctx)
	if err != nil {
		return root{}, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return root{}, err
	}
	base := filepath.Join(w.cache, rootPrefix+w.root)
	made := root{Key: w.root, Created: time.Now().UTC(), Size: info.Size(), path: base + ".tar"}
	note, err := json.Marshal(made)
	if err != nil {
		return root{}, err
	}
	err = errors.Join(os.Chmod(file, 0o644), os.Rename(file, made.path))
	if err == nil {
		err = daemon.WriteFile(base+noteSuffix, note, 0o644)
	}
	if err != nil {
		return root{}, fmt.Errorf("keep the root file system: %w", err)
	}
	return made, noteTime(w.cache, w.rootKind(), time.Since(began))
}

// measure looks into the root file system and tells what its packages take, and what of them is left out.
func (w *work) measure(archive string) (sbom.Contents, error) {
	contents, err := sbom.Read(archive)
	if err != nil {
		return sbom.Contents{}, err
	}
	const told, mib = 4 << 20, 1 << 20
	text := fmt.Sprintf("%d packages, %d MiB", len(contents.Packages), contents.Bytes/mib)
	list, others := contents.LeftOut(told)
	if w.recipe.Optimize {
		text += "; left out:"
		for _, p := range list {
			text += fmt.Sprintf(" %d MiB of %s,", p.LeftOut/mib, p.Name)
		}
		text += fmt.Sprintf(" %d MiB of others", others/mib)
	}
	w.step(text)
	return contents, nil
}

// format makes the file of the recipe's format, in the directory of this build.
func (w *work) format(ctx context.Context, rootTar string) (string, error) {
	r := w.recipe
	file := filepath.Join(w.dir, "image."+extension(r.Format, ""))
	var err error
	switch {
	case r.Format.Disk():
		return w.disk(ctx, rootTar)
	case r.Format == recipe.FormatLXC:
		w.step("writing the container")
		err = container.WriteLXC(ctx, rootTar, file, w.about())
	case r.Format == recipe.FormatOCI:
		w.step("writing the layer and the layout")
		err = container.WriteOCI(ctx, rootTar, file, w.dir, w.about())
	case r.Compression != "":
		file = rootTar
	default:
		err = link(rootTar, file)
	}
	if ctx.Err() != nil {
		return "", errInterrupted
	}
	if err != nil || r.Compression == "" {
		return file, err
	}
	w.step("packing it as " + extension(r.Format, r.Compression))
	packed := filepath.Join(w.dir, "packed")
	return packed, compress(ctx, r.Compression, file, packed, w.held)
}

func (w *work) about() container.Image {
	return container.Image{
		Name: w.recipe.String(), Architecture: w.recipe.Architecture, Distribution: "debian", Release: recipe.Codename, Created: w.began,
	}
}

// disk makes a disk of the root file system. A size that is too small is refused with the smallest.
func (w *work) disk(ctx context.Context, rootTar string) (string, error) {
	r := w.recipe
	var room int64
	if r.Nutshell != nil {
		room = nutshellRoom
		w.step("putting the director and the image of its machines in")
		var err error
		if rootTar, err = w.nutshell.fill(ctx, rootTar, w.dir); err != nil {
			return "", w.ended(ctx, err)
		}
	}
	if r.Size > 0 {
		least, err := disk.Minimum(ctx, rootTar)
		if err != nil {
			return "", w.ended(ctx, err)
		}
		least += room
		if r.Size < least {
			mib := (least + 1<<20 - 1) >> 20
			return "", fmt.Errorf("%w: filesize is %d MiB, but this image needs at least %d: set filesize = %d, or 0 for the smallest", recipe.ErrRecipe, r.Size>>20, mib, mib)
		}
	}
	raw := filepath.Join(w.dir, "image.raw")
	if err := disk.Write(ctx, rootTar, raw, disk.Options{Size: r.Size, Optimize: r.Optimize, Room: room, Step: w.step, Held: w.held}); err != nil {
		return "", w.ended(ctx, err)
	}
	if r.Format == recipe.FormatRaw {
		return raw, nil
	}
	w.step("converting it to " + string(r.Format))
	file := filepath.Join(w.dir, "image."+string(r.Format))
	return file, w.ended(ctx, disk.Convert(ctx, raw, string(r.Format), file, memory(r)))
}

// ended replaces the error of a build that was interrupted.
func (w *work) ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}
