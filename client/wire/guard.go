package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"conpaas/client/api"
)

// Guard remembers at a child the highest epoch of its parents, and refuses lower ones, so that a deposed parent cannot act.
// It may be used by several goroutines.
//
// Fence and incarnation count for every call. The revision orders changes, and so counts for PUT, PATCH and DELETE only:
// a log that is read, or a command that is run, while a newer spec arrives does not come from a deposed parent.
type Guard struct {
	path string

	mu      sync.Mutex
	current api.Epoch
}

// OpenGuard makes a Guard that keeps the epoch in the file at path and, in case that file is damaged, in a second one
// beside it. Without files the epoch is zero. Files of which none is whole are an error, since the zero epoch would let
// every deposed parent in.
func OpenGuard(path string) (*Guard, error) {
	g := &Guard{path: path}
	found, whole := 0, 0
	var damaged error
	for _, name := range g.files() {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read epoch: %w", err)
		}
		found++
		epoch, err := parseEpoch(text)
		if err != nil {
			damaged = fmt.Errorf("read epoch from %s: %w", name, err)
			continue
		}
		whole++
		if epoch.Compare(g.current) > 0 {
			g.current = epoch
		}
	}
	if found > 0 && whole == 0 {
		return nil, fmt.Errorf("%w; without it a deposed parent could act: replace this node, or remove the files to trust the next parent", damaged)
	}
	return g, nil
}

func (g *Guard) files() []string { return []string{g.path + ".second", g.path} }

// Current gives the highest epoch seen.
func (g *Guard) Current() api.Epoch {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

// Check gives the epoch of a downward call. A call of another protocol is CodeProtocol, one without an epoch CodeInvalid, one
// of a lower epoch CodeStale. A higher one is kept before Check returns, and a new parent's is on disk.
func (g *Guard) Check(r *http.Request) (api.Epoch, error) {
	if got := r.Header.Get(api.HeaderProtocol); got != strconv.Itoa(api.Protocol) {
		if n, err := strconv.ParseUint(got, 10, 32); err != nil || n < 1 {
			return api.Epoch{}, api.InField(api.HeaderProtocol, "it must be a version of the protocol, not %.20q", got)
		}
		return api.Epoch{}, api.Errorf(api.CodeProtocol, "it speaks protocol %d, and the call is of protocol %s", api.Protocol, got)
	}
	var epoch api.Epoch
	for name, value := range map[string]*uint64{
		api.HeaderFence: &epoch.Fence, api.HeaderIncarnation: &epoch.Incarnation, api.HeaderRevision: &epoch.Revision,
	} {
		n, err := strconv.ParseUint(r.Header.Get(name), 10, 64)
		if err != nil {
			return api.Epoch{}, api.InField(name, "it must be a number, not %.20q", r.Header.Get(name))
		}
		*value = n
	}
	changes := r.Method == http.MethodPut || r.Method == http.MethodPatch || r.Method == http.MethodDelete
	return epoch, g.raise(epoch, changes)
}

// raise refuses an epoch that is lower than the current one and keeps one that is higher.
func (g *Guard) raise(epoch api.Epoch, changes bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !changes {
		epoch.Revision = 0
		if epoch.Fence == g.current.Fence && epoch.Incarnation == g.current.Incarnation {
			return nil
		}
	}
	switch order := epoch.Compare(g.current); {
	case order < 0:
		return api.Errorf(api.CodeStale, "the call is of epoch %s, this node has heard epoch %s: a newer parent has taken over", show(epoch), show(g.current))
	case order == 0:
		return nil
	}
	if err := g.write(epoch); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return api.Errorf(api.CodeFull, "the disk of this node is full: epoch %s cannot be kept", show(epoch))
		}
		return fmt.Errorf("keep epoch %s: %w", show(epoch), err)
	}
	g.current = epoch
	return nil
}

func show(e api.Epoch) string { return fmt.Sprintf("%d.%d.%d", e.Fence, e.Incarnation, e.Revision) }

// Middleware lets only those calls through to next that Check accepts.
func (g *Guard) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, _ = identify(r)
		if _, err := g.Check(r); err != nil {
			writeProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// write keeps an epoch. That of a new parent goes into both files, one after the other: at any moment one of them is whole and
// not older than what Check has last accepted. A mere revision does not wait for the disk: what is lost with the power the same
// parent says again, and the second file stays as it is.
func (g *Guard) write(epoch api.Epoch) error {
	text, err := json.Marshal(epoch)
	if err != nil {
		return err
	}
	text = append(text, " "+sum(text)+"\n"...)
	if epoch.Fence == g.current.Fence && epoch.Incarnation == g.current.Incarnation {
		return replaceFile(g.path, text, func(*os.File) error { return nil })
	}
	for _, name := range g.files() {
		if err := ReplaceFile(name, text); err != nil {
			return err
		}
	}
	return syncDirectory(filepath.Dir(g.path))
}

// ReplaceFile gives the file at path, which its owner alone may read, new content: at any moment, also after a loss of power,
// it has the whole old or the whole new one.
func ReplaceFile(path string, data []byte) error {
	return replaceFile(path, data, (*os.File).Sync)
}

func replaceFile(path string, data []byte, sync func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // it has mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, sync(file), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// syncDirectory makes new names in a directory outlive a loss of power, where the system can do that.
func syncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func sum(text []byte) string {
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}

func parseEpoch(text []byte) (api.Epoch, error) {
	var epoch api.Epoch
	document, digest, ok := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	if !ok || sum([]byte(document)) != digest {
		return epoch, errors.New("the file is damaged")
	}
	if err := json.Unmarshal([]byte(document), &epoch); err != nil {
		return epoch, fmt.Errorf("the file is damaged: %w", err)
	}
	return epoch, nil
}
