package build

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conpaas/client/daemon"
)

// timesFile holds how long the stages of the last builds of each kind took, in a cache.
const timesFile = ".times.json"

// times are seconds by kinds of stages.
type times map[string]float64

// readTimes gives what is known; a file that cannot be read is no reason not to build.
func readTimes(cache string) times {
	known := times{}
	if text, err := os.ReadFile(filepath.Join(cache, timesFile)); err != nil || json.Unmarshal(text, &known) != nil {
		return times{}
	}
	return known
}

// noteTime keeps how long a stage took. The caller has the lock of the cache.
func noteTime(cache, kind string, took time.Duration) error {
	next := readTimes(cache)
	next[kind] = took.Seconds()
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := daemon.WriteFile(filepath.Join(cache, timesFile), text, 0o644); err != nil {
		return fmt.Errorf("note how long the build took: %w", err)
	}
	return nil
}

// expected is how long a whole build took the last time, 0 where a part of it is not known.
func (t times) expected(w *work) time.Duration {
	sum := t[w.formatKind()]
	if sum == 0 {
		return 0
	}
	if found, there := lookupRoot(w.cache, w.root); !there || !w.recent(found.Created) || found.Created.After(w.began) {
		root, ok := t[w.rootKind()]
		if !ok {
			return 0
		}
		sum += root
	}
	return time.Duration(sum * float64(time.Second))
}

// rootKind and formatKind name what takes about the same time: the same packages, and the same form of them.
func (w *work) rootKind() string {
	return "root " + w.recipe.Architecture + " " + strings.Join(packages(w.recipe), " ")
}

func (w *work) formatKind() string {
	return string(w.recipe.Format) + "." + extension(w.recipe.Format, w.recipe.Compression) + " of " + w.rootKind()
}
