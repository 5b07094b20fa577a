package container

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// mostText is the limit of a document in an image, in bytes.
const mostText = 1 << 20

// ReadLXC writes the root file system of a unified image as an archive: the reverse of WriteLXC. A failure leaves nothing.
func ReadLXC(ctx context.Context, file, rootTar string) error {
	if err := writeFile(rootTar, func(out io.Writer) error { return readLXC(ctx, file, out) }); err != nil {
		return fmt.Errorf("read the LXC image %s: %w", file, err)
	}
	return nil
}

func readLXC(ctx context.Context, file string, w io.Writer) error {
	out, metadata, files := tar.NewWriter(w), false, 0
	err := each(ctx, file, func(h *tar.Header, in io.Reader) error {
		inside, ok := strings.CutPrefix(path.Clean("/"+h.Name), "/rootfs")
		if !ok || inside != "" && inside[0] != '/' {
			metadata = metadata || path.Clean(h.Name) == "metadata.yaml"
			return nil
		}
		h.Name = "." + inside
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if h.Typeflag == tar.TypeLink {
			target, ok := strings.CutPrefix(path.Clean("/"+h.Linkname), "/rootfs/")
			if !ok {
				return fmt.Errorf("%s is a link to %s, which is not below rootfs", h.Name, h.Linkname)
			}
			h.Linkname = "./" + target
		}
		files++
		h.Format = tar.FormatUnknown
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(out, in)
		return err
	})
	switch {
	case err != nil:
		return err
	case !metadata || files == 0:
		return errors.New("it has no metadata.yaml, or nothing below rootfs")
	}
	return out.Close()
}

// ReadOCI writes the root file system of an image layout with one image of one layer, as WriteOCI writes it: an archive, packed
// by gzip. Every digest on the way to it must be right. A failure leaves nothing.
func ReadOCI(ctx context.Context, file, layer string) error {
	if err := writeFile(layer, func(out io.Writer) error { return readOCI(ctx, file, out) }); err != nil {
		return fmt.Errorf("read the OCI image %s: %w", file, err)
	}
	return nil
}

func readOCI(ctx context.Context, file string, w io.Writer) error {
	var list index
	text, err := member(ctx, file, "index.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	if len(list.Manifests) != 1 {
		return fmt.Errorf("it has %d images; one is read", len(list.Manifests))
	}
	var m manifest
	if err := document(ctx, file, list.Manifests[0], &m); err != nil {
		return err
	}
	if len(m.Layers) != 1 || m.Layers[0].MediaType != typeLayer {
		return fmt.Errorf("its layers are %+v; one of type %s is read", m.Layers, typeLayer)
	}
	var c ociConfig
	if err := document(ctx, file, m.Config, &c); err != nil {
		return err
	}
	found := false
	err = each(ctx, file, func(h *tar.Header, in io.Reader) error {
		if found || path.Clean(h.Name) != blobName(m.Layers[0].Digest) {
			return nil
		}
		found = true
		sum := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, sum), in); err != nil {
			return err
		}
		if digest(sum) != m.Layers[0].Digest {
			return fmt.Errorf("%s has another digest", h.Name)
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%s is missing", blobName(m.Layers[0].Digest))
	}
	return err
}

// document reads a blob that is JSON.
func document(ctx context.Context, file string, d descriptor, into any) error {
	if !strings.HasPrefix(d.Digest, "sha256:") {
		return fmt.Errorf("digest %q is not SHA256", d.Digest)
	}
	name := blobName(d.Digest)
	text, err := member(ctx, file, name)
	if err != nil {
		return err
	}
	sum := sha256.New()
	sum.Write(text)
	if digest(sum) != d.Digest {
		return fmt.Errorf("%s has another digest", name)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// member reads a small file of an archive.
func member(ctx context.Context, file, name string) (text []byte, err error) {
	found := false
	err = each(ctx, file, func(h *tar.Header, in io.Reader) error {
		if found || path.Clean(h.Name) != name {
			return nil
		}
		found = true
		if h.Size > mostText {
			return fmt.Errorf("%s has %d bytes, more than %d", name, h.Size, mostText)
		}
		var err error
		text, err = io.ReadAll(in)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("%s is missing", name)
	}
	return text, err
}

// each calls a function for every member of an archive.
func each(ctx context.Context, file string, do func(h *tar.Header, in io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if err := do(h, reader{ctx, in}); err != nil {
			return err
		}
	}
}
