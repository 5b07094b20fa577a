package app

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"conpaas/client/api"
	"conpaas/client/daemon"
)

// programs are what machines download; the names are those of the binaries.
var programs = []string{"cpsmanager", "cpsagent"}

// Code keeps the signed programs that machines download, one directory per version. A version stays as long
// as user-data that names it may be alive.
//
//	<dir>/<version>/manifest       "conpaas-code <version>", then "<sha256> <arch>/<program>" lines
//	<dir>/<version>/manifest.sig   Ed25519 signature of the manifest's exact bytes
//	<dir>/<version>/<arch>/<program>
type Code struct {
	dir     string
	version string
	public  string // PEM
}

// CodeDir is where the code is below the director's data directory.
func CodeDir(data string) string { return filepath.Join(data, "code") }

// OpenCode takes the programs of this release from the folder `from` (cpsmanager and cpsagent, built for arch
// as uname -m says) into dir, signs them, and makes them the current version.
func OpenCode(dir, from, arch string, key ed25519.PrivateKey) (*Code, error) {
	sums := make(map[string]string, len(programs))
	all := sha256.New()
	for _, name := range programs {
		sum, err := fileSHA256(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("the program %s that machines download is not in %s; build it (make build) or name its folder with --code", name, from)
		}
		if err != nil {
			return nil, fmt.Errorf("code for machines: %w", err)
		}
		sums[name] = sum
		fmt.Fprintln(all, sum, name)
	}
	version := daemon.Version + "-" + hex.EncodeToString(all.Sum(nil))[:12]
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("code for machines: %w", err)
	}
	c := &Code{dir: dir, version: version, public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))}

	var manifest bytes.Buffer
	fmt.Fprintf(&manifest, "conpaas-code %s\n", version)
	for _, name := range programs {
		fmt.Fprintf(&manifest, "%s %s/%s\n", sums[name], arch, name)
		if err := copyProgram(filepath.Join(from, name), filepath.Join(dir, version, arch, name), sums[name]); err != nil {
			return nil, fmt.Errorf("code for machines: %w", err)
		}
	}
	for name, content := range map[string][]byte{
		"manifest": manifest.Bytes(), "manifest.sig": ed25519.Sign(key, manifest.Bytes()),
	} {
		if err := daemon.WriteFile(filepath.Join(dir, version, name), content, 0o644); err != nil {
			return nil, fmt.Errorf("code for machines: %w", err)
		}
	}
	return c, nil
}

// Pin is what user-data says of the code that its machine runs.
func (c *Code) Pin() api.CodePin { return api.CodePin{Version: c.version, PublicKey: c.public} }

// codePath matches what may be downloaded below a version; each part is checked again by os.Root.
var codePath = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}/(manifest|manifest\.sig|[a-z0-9_]{1,32}/cps(manager|agent))$`)

// Open gives the file of a version for download: "<version>/manifest", "<version>/manifest.sig" or
// "<version>/<arch>/<program>".
func (c *Code) Open(path string) (*os.File, error) {
	if !codePath.MatchString(path) {
		return nil, api.Errorf(api.CodeNotFound, "no code %q here", path)
	}
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		return nil, fmt.Errorf("code for machines: %w", err)
	}
	defer root.Close()
	f, err := root.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, api.Errorf(api.CodeNotFound, "no code %q here", path)
	}
	return f, err
}

// Prune removes the versions that no live user-data names.
func (c *Code) Prune(inUse func(version string) bool) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("code for machines: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != c.version && !inUse(e.Name()) {
			errs = append(errs, os.RemoveAll(filepath.Join(c.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyProgram copies a program unless the copy is already there and whole.
func copyProgram(from, to, sum string) error {
	if have, err := fileSHA256(to); err == nil && have == sum {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close(), os.Remove(to+".new"))
	}
	if err := out.Close(); err != nil {
		return err
	}
	if have, err := fileSHA256(to + ".new"); err != nil || have != sum {
		return errors.Join(err, fmt.Errorf("%s changed while it was read; start again", strings.TrimSuffix(from, ".new")))
	}
	return os.Rename(to+".new", to)
}
