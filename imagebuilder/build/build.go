// Package build makes images by recipes and keeps them: the same recipe again is answered from the cache, and another
// format of the same packages is made of the root file system that is there.
//
// It must not know the command line, nor any cloud.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"conpaas/client/api"
	"conpaas/imagebuilder/recipe"
)

// revision is raised when builds change in a way that neither the packages nor the scripts and options show.
const revision = 2

// errInterrupted does not wrap context.Canceled: a program that has not built what it was asked for must not succeed.
var errInterrupted = errors.New("interrupted; nothing is left of this build")

// Options say how to build.
type Options struct {
	Cache    string         // directory of finished images; made where it does not exist
	Sources  Sources        // where packages come from
	Fresh    bool           // build although the cache has the image, for the newest packages
	Progress func(Progress) // called for every step, from one goroutine at a time; nil: no one
}

// Progress is told when a step begins.
type Progress struct {
	Step     string
	Elapsed  time.Duration
	Expected time.Duration // of the whole build, as the last one of its kind in the cache took; 0: not known
}

// Build gives the image of a recipe: from the cache, or made now. Builds in one cache wait for each other. One that
// fails or is interrupted leaves no image; one that is killed leaves none either, and the next one removes its traces.
func Build(ctx context.Context, r recipe.Recipe, o Options) (Image, error) {
	image, err := build(ctx, r, o)
	if err != nil {
		return Image{}, fmt.Errorf("build %s: %w", r, err)
	}
	return image, nil
}

func build(ctx context.Context, r recipe.Recipe, o Options) (Image, error) {
	cache, err := filepath.Abs(o.Cache)
	if err != nil {
		return Image{}, err
	}
	w := work{recipe: r, options: o, cache: cache, began: time.Now()}
	if w.nutshell, err = newNutshell(ctx, r, o); err != nil {
		return Image{}, err
	}
	if w.root, w.key, err = keysOf(r, o.Sources, w.nutshell); err != nil {
		return Image{}, err
	}
	if image, ok := lookup(cache, w.key); ok && !o.Fresh {
		return image, nil
	}
	if err := checkTools(os.Geteuid() == 0, r, o.Sources); err != nil {
		return Image{}, err
	}
	if w.runs, err = emulatorOf(ctx, r.Architecture); err != nil {
		return Image{}, err
	}
	return w.locked(ctx)
}

// work is one build.
type work struct {
	recipe   recipe.Recipe
	nutshell nutshell
	options  Options
	cache    string
	root     string // key of the root file system
	key      string // of the image
	began    time.Time
	runs     emulator
	times    times
	dir      string   // for this build alone
	held     *os.File // the lock
}

func (w *work) step(text string) {
	if w.options.Progress != nil {
		w.options.Progress(Progress{Step: text, Elapsed: time.Since(w.began), Expected: w.times.expected(w)})
	}
}

func (w *work) locked(ctx context.Context) (_ Image, err error) {
	if err := os.MkdirAll(w.cache, 0o755); err != nil {
		return Image{}, err
	}
	w.held, err = lock(ctx, w.cache, func() { w.step("waiting for another build in " + w.cache) })
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, w.held.Close()) }()
	// Whoever had the lock may have built what is wanted, also where it is to be newer than this call.
	if image, ok := lookup(w.cache, w.key); ok && w.recent(image.Created) {
		return image, nil
	}
	if err := removeWork(w.cache); err != nil {
		return Image{}, err
	}
	if w.dir, err = os.MkdirTemp(w.cache, workPrefix); err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(w.dir)) }()
	w.times = readTimes(w.cache)
	root, err := w.rootFS(ctx)
	if err != nil {
		return Image{}, err
	}
	began := time.Now()
	contents, err := w.measure(root.path)
	if err != nil {
		return Image{}, err
	}
	file, err := w.format(ctx, root.path)
	if err != nil {
		return Image{}, err
	}
	w.step("keeping the image")
	r := w.recipe
	image, err := store(w.cache, Image{
		Key: w.key, Format: r.Format, Compression: r.Compression, Architecture: r.Architecture, Services: r.Services, Packages: r.Packages,
		Nutshell: r.Nutshell != nil, Created: root.Created,
	}, file, contents)
	if err != nil {
		return Image{}, err
	}
	return image, noteTime(w.cache, w.formatKind(), time.Since(began))
}

// recent tells whether what was made then will do for this build.
func (w *work) recent(created time.Time) bool { return !w.options.Fresh || created.After(w.began) }

// keysOf digests all that the root file system and the image depend on but the time.
func keysOf(r recipe.Recipe, s Sources, n nutshell) (root, image string, err error) {
	var rows []api.ServiceKind
	for _, t := range r.Services {
		if row, ok := api.FindServiceKind(t); ok {
			rows = append(rows, row)
		}
	}
	content, err := payload{r}.digest()
	if err != nil {
		return "", "", err
	}
	setup, customize := hooks(r)
	var texts []string
	for _, h := range append(setup, customize...) {
		texts = append(texts, h.name, h.text)
	}
	if root, err = digestOf(revision, r.Services, rows, options(r), texts, s.image(), content); err != nil {
		return "", "", err
	}
	more, err := n.digest()
	if err != nil {
		return "", "", err
	}
	image, err = digestOf(root, r.Format, r.Compression, r.Optimize, r.Size, more)
	return root, image, err
}

func digestOf(parts ...any) (string, error) {
	text, err := json.Marshal(parts)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12]), nil
}
