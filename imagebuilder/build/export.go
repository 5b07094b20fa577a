package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"conpaas/imagebuilder/recipe"
)

// Export copies an image to a file of the caller's choice, which is replaced in one step, with its manifest and its bill
// of materials beside it.
func (i Image) Export(file string) error {
	for _, pair := range [][2]string{{i.Path, file}, {i.Manifest, file + manifestSuffix}, {i.SBOM, file + sbomSuffix}} {
		if err := copyFile(pair[0], pair[1]); err != nil {
			return fmt.Errorf("export the image: %w", err)
		}
	}
	return nil
}

// link gives a file another name, or copies it where the file system has no links.
func link(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return copyFile(from, to)
	}
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	err = copySparse(out, in)
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}

// copySparse leaves holes where the file has zeros only: most of a raw disk is empty.
func copySparse(out, in *os.File) error {
	block, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	var at int64
	for {
		n, err := io.ReadFull(in, block)
		if n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
			if _, err := out.WriteAt(block[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return out.Truncate(at)
		case err != nil:
			return err
		}
	}
}

// extension gives the ending of an image's file, without the dot.
func extension(f recipe.Format, c recipe.Compression) string {
	switch {
	case f.Disk():
		return string(f)
	case c != "":
		return "tar." + string(c)
	}
	return "tar"
}
