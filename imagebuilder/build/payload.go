package build

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"conpaas/imagebuilder/recipe"
)

// payload is what a recipe puts into an image beside packages.
type payload struct{ recipe recipe.Recipe }

func (p payload) empty() bool {
	return len(p.recipe.Copies) == 0 && p.recipe.Script == "" && p.recipe.FirstBoot == ""
}

// digest is of all content; it fails where something is not there. What is copied has the owner root and no time, so only
// content, names and modes count; of an archive the file does.
func (p payload) digest() (string, error) {
	if p.empty() {
		return "", nil
	}
	sum := sha256.New()
	for _, c := range p.recipe.Copies {
		fmt.Fprintf(sum, "copy %q\n", c.To)
		if err := pack(sum, c, func(w io.Writer) error { return pour(w, c.From) }); err != nil {
			return "", err
		}
	}
	for _, name := range []string{p.recipe.Script, p.recipe.FirstBoot} {
		text, err := script(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "script %d\n%s", len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// write puts everything beside the scripts of a build, where preinstall.sh looks for it.
func (p payload) write(ctx context.Context, work string) error {
	for n, c := range p.recipe.Copies {
		name := filepath.Join(work, fmt.Sprintf("copy-%03d", n))
		to := c.To
		if single(c.From) {
			to = path.Dir(to)
		}
		f, err := os.Create(name + ".tar")
		if err != nil {
			return err
		}
		err = errors.Join(pack(f, c, func(w io.Writer) error { return unpack(ctx, w, c.From) }), f.Chmod(0o644), f.Close(), os.WriteFile(name+".to", []byte(to+"\n"), 0o644))
		if err != nil {
			return err
		}
	}
	for name, from := range map[string]string{"script": p.recipe.Script, "firstboot": p.recipe.FirstBoot} {
		text, err := script(from)
		if err != nil || from == "" {
			if err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(filepath.Join(work, name), text, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// script reads a program of the recipe; no name is none.
func script(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("script of the recipe: %w", err)
	}
	if !strings.HasPrefix(string(text), "#!") && !strings.HasPrefix(string(text), "\x7fELF") {
		return nil, fmt.Errorf("%w: script %s is no program: begin it with #!/bin/sh", recipe.ErrRecipe, name)
	}
	return text, nil
}

// single tells whether what is copied is one file, which gets the name of the target.
func single(from string) bool {
	info, err := os.Stat(from)
	return err == nil && info.Mode().IsRegular() && archiveKind(from) == ""
}

// archiveKind gives the ending of an archive's name, "" for any other file.
func archiveKind(name string) string {
	for _, kind := range []string{".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst"} {
		if strings.HasSuffix(name, kind) {
			return kind
		}
	}
	return ""
}

// pour writes the content of a file.
func pour(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// pack writes a file or directory that is copied as a tar archive. What is one is left to the caller.
func pack(w io.Writer, c recipe.Copy, archive func(io.Writer) error) error {
	info, err := os.Stat(c.From)
	if err != nil {
		return fmt.Errorf("copy of the recipe: %w", err)
	}
	switch {
	case info.IsDir():
		err = packDir(w, c.From)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: copy %s: it is neither file, directory nor archive", recipe.ErrRecipe, c.From)
	case archiveKind(c.From) == "":
		out := tar.NewWriter(w)
		if err = packFile(out, c.From, path.Base(c.To), info); err == nil {
			err = out.Close()
		}
	default:
		err = archive(w)
	}
	if err != nil {
		return fmt.Errorf("copy %s into the image: %w", c.From, err)
	}
	return nil
}

func packDir(w io.Writer, dir string) error {
	out := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if inside == "." { // the target keeps its own mode
			return nil
		}
		return packFile(out, name, inside, info)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func packFile(out *tar.Writer, name, inside string, info fs.FileInfo) error {
	h := &tar.Header{Name: inside, Mode: int64(info.Mode().Perm()), Format: tar.FormatPAX}
	switch mode := info.Mode(); {
	case mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, inside+"/"
		return out.WriteHeader(h)
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		return out.WriteHeader(h)
	case !mode.IsRegular():
		return fmt.Errorf("%w: %s is neither file, directory nor link", recipe.ErrRecipe, name)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	return pour(out, name)
}

// unpack writes an archive without its compression.
func unpack(ctx context.Context, w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	switch archiveKind(name) {
	case ".tar.xz":
		return filter(ctx, f, w, nil, "xz", "--decompress", "--stdout")
	case ".tar.zst":
		return filter(ctx, f, w, nil, "zstd", "--decompress", "--stdout", "--quiet")
	case ".tar":
		_, err = io.Copy(w, f)
		return err
	}
	zip, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, zip) //nolint:gosec // the owner's own archive, and it takes the space of the owner's image
	return err
}
