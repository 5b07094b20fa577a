// Package build makes images by recipes and keeps them: the same recipe again is answered from the cache.
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
const revision = 1

// errInterrupted does not wrap context.Canceled: a program that has not built what it was asked for must not succeed.
var errInterrupted = errors.New("interrupted; nothing is left of this build")

// Options say how to build.
type Options struct {
	Cache    string                                   // directory of finished images; made where it does not exist
	Sources  Sources                                  // where packages come from
	Fresh    bool                                     // build although the cache has the image, for the newest packages
	Progress func(elapsed time.Duration, step string) // called for every step, from one goroutine at a time; nil: no one
}

// Build gives the image of a recipe: from the cache, or made now. Builds in one cache wait for each other. One that
// fails or is interrupted leaves nothing; one that is killed leaves no image, and the next one removes its traces.
func Build(ctx context.Context, r recipe.Recipe, o Options) (Image, error) {
	cache, err := filepath.Abs(o.Cache)
	if err != nil {
		return Image{}, fmt.Errorf("build %s: %w", r, err)
	}
	key, err := keyOf(r, o.Sources)
	if err != nil {
		return Image{}, fmt.Errorf("build %s: %w", r, err)
	}
	if image, ok := lookup(cache, key); ok && !o.Fresh {
		return image, nil
	}
	if err := checkTools(os.Geteuid() == 0, o.Sources); err != nil {
		return Image{}, fmt.Errorf("build %s: %w", r, err)
	}
	began := time.Now()
	step := func(text string) {
		if o.Progress != nil {
			o.Progress(time.Since(began), text)
		}
	}
	image, err := locked(ctx, r, o, cache, key, began, step)
	if err != nil {
		return Image{}, fmt.Errorf("build %s: %w", r, err)
	}
	return image, nil
}

func locked(ctx context.Context, r recipe.Recipe, o Options, cache, key string, began time.Time, step func(string)) (_ Image, err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Image{}, err
	}
	held, err := lock(ctx, cache, func() { step("waiting for another build in " + cache) })
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	// Whoever had the lock may have built what is wanted, also where it is to be newer than this call.
	if image, ok := lookup(cache, key); ok && (!o.Fresh || image.Created.After(began)) {
		return image, nil
	}
	if err := removeWork(cache); err != nil {
		return Image{}, err
	}
	work, err := os.MkdirTemp(cache, workPrefix)
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	file, err := bootstrap{recipe: r, sources: o.Sources, work: work, held: held, step: step}.run(ctx)
	if err != nil {
		return Image{}, err
	}
	step("keeping the image")
	image := Image{Key: key, Format: r.Format, Services: r.Services, Packages: r.Packages, Created: time.Now().UTC()}
	return store(cache, image, file)
}

// keyOf digests all that the content of an image depends on but the time.
func keyOf(r recipe.Recipe, s Sources) (string, error) {
	var rows []api.ServiceKind
	for _, t := range r.Services {
		if row, ok := api.FindServiceKind(t); ok {
			rows = append(rows, row)
		}
	}
	text, err := json.Marshal([]any{revision, r, rows, options(r), setupScript, customizeScript, s.image()})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12]), nil
}
