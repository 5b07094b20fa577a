package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"conpaas/client/manifest"
)

// source is a file that a manifest names, on this computer.
type source struct {
	path   string
	name   string // its own, without folders
	sha256 string
	size   int64
}

// sources are the files of a manifest by the names that it gives them. What was fetched is in a folder that goes with them.
type sources struct {
	all    map[string]source
	folder string // "" while nothing was fetched
}

// remote tells whether a name in a manifest is a URL.
func remote(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}

// read gives a manifest and where its files are: names in it are of the folder that it is in. One from elsewhere may only
// name URLs, so that nobody's manifest sends files of this computer away.
func (g *Global) readManifest(ctx context.Context, name string) (m manifest.Manifest, folder string, err error) {
	var data []byte
	switch {
	case remote(name):
		data, err = g.fetchManifest(ctx, name)
	case name == "-":
		data, err = io.ReadAll(io.LimitReader(g.system.Stdin, manifest.Largest+1))
		folder = "."
	default:
		folder = filepath.Dir(name)
		data, err = readFile(name, manifest.Largest+1)
	}
	if err != nil {
		return m, "", usagef("read the manifest %s: %w", name, err)
	}
	if m, err = manifest.Parse(data); err != nil {
		return m, "", usagef("%s: %w", name, err)
	}
	m.Complete()
	return m, folder, nil
}

func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, most))
}

func (g *Global) fetchManifest(ctx context.Context, from string) ([]byte, error) {
	body, err := get(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(io.LimitReader(body, manifest.Largest+1))
}

// headerTime is how long a server may take to answer; how long its answer may take nobody knows.
const headerTime = 30 * time.Second

func get(ctx context.Context, from string) (io.ReadCloser, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTime
	transport.DisableKeepAlives = true
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%s answers %s", from, response.Status)
	}
	return response.Body, nil
}

// openSources fetches what a manifest names by URL and looks at all its files. The caller closes what it gets, with an error too.
func openSources(ctx context.Context, m manifest.Manifest, folder string, note func(string)) (*sources, error) {
	all := &sources{all: make(map[string]source)}
	var errs []error
	for _, s := range m.Services {
		for key, name := range s.Files() {
			if _, known := all.all[name]; known {
				continue
			}
			one, err := all.open(ctx, name, folder, note)
			if err != nil {
				errs = append(errs, fmt.Errorf("service %q: %s: %w", s.Name, key, err))
				continue
			}
			all.all[name] = one
		}
	}
	return all, errors.Join(errs...)
}

func (all *sources) open(ctx context.Context, name, folder string, note func(string)) (s source, err error) {
	if !remote(name) {
		if folder == "" {
			return s, fmt.Errorf("%s is a file; a manifest from a URL can only name URLs: download it and its files", name)
		}
		s.path, s.name = name, filepath.Base(name)
		if !filepath.IsAbs(name) {
			s.path = filepath.Join(folder, name)
		}
		return s, s.look()
	}
	u, err := url.Parse(name)
	if err != nil {
		return s, err
	}
	note("fetching " + name)
	body, err := get(ctx, name)
	if err != nil {
		return s, err
	}
	defer func() { _ = body.Close() }()
	if all.folder == "" {
		if all.folder, err = os.MkdirTemp("", "cps-manifest-"); err != nil {
			return s, err
		}
	}
	f, err := os.CreateTemp(all.folder, "")
	if err != nil {
		return s, err
	}
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		return s, fmt.Errorf("fetch %s: %w", name, err)
	}
	s.path, s.name = f.Name(), path.Base(u.Path)
	return s, s.look()
}

// look reads a file for its size and its digest.
func (s *source) look() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", s.path)
	}
	sum := sha256.New()
	if s.size, err = io.Copy(sum, f); err != nil {
		return err
	}
	s.sha256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

func (all *sources) digests() manifest.Digests {
	d := make(manifest.Digests, len(all.all))
	for name, s := range all.all {
		d[name] = s.sha256
	}
	return d
}

func (all *sources) close() error {
	if all.folder == "" {
		return nil
	}
	return os.RemoveAll(all.folder)
}
