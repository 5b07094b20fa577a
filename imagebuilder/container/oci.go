package container

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The media types and the parts of the OCI image specification 1.1 (https://github.com/opencontainers/image-spec) that
// are written here.
const (
	ociVersion   = "1.0.0" // of the layout
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type manifest struct {
	Schema      int               `json:"schemaVersion"`
	MediaType   string            `json:"mediaType"`
	Config      descriptor        `json:"config"`
	Layers      []descriptor      `json:"layers"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type index struct {
	Schema    int          `json:"schemaVersion"`
	MediaType string       `json:"mediaType"`
	Manifests []descriptor `json:"manifests"`
}

type ociConfig struct {
	Created time.Time `json:"created"`
	platform
	Config struct {
		Env    []string          `json:"Env"`
		Cmd    []string          `json:"Cmd"`
		Labels map[string]string `json:"Labels"`
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []history `json:"history"`
}

type history struct {
	Created time.Time `json:"created"`
	By      string    `json:"created_by"`
}

// WriteOCI writes the tar archive of an image layout with one image of one layer, tagged "latest", as skopeo and podman
// take it (oci-archive:). work is a directory for the layer on its way.
func WriteOCI(ctx context.Context, rootTar, file, work string, i Image) error {
	layer := filepath.Join(work, "layer.tar.gz")
	err := writeFile(file, func(out io.Writer) error { return oci(ctx, rootTar, layer, out, i) })
	if err = errors.Join(err, os.RemoveAll(layer)); err != nil {
		return fmt.Errorf("write the OCI image: %w", err)
	}
	return nil
}

func oci(ctx context.Context, rootTar, layer string, w io.Writer, i Image) error {
	packed, plain, size, err := pack(ctx, rootTar, layer)
	if err != nil {
		return err
	}
	at := i.Created.UTC().Truncate(time.Second)
	where := platform{Architecture: i.Architecture, OS: "linux"}
	labels := map[string]string{
		"org.opencontainers.image.title": i.Name, "org.opencontainers.image.created": at.Format(time.RFC3339),
	}
	c := ociConfig{Created: at, platform: where, History: []history{{at, "cpsimage build"}}}
	c.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	c.Config.Cmd, c.Config.Labels = []string{"/bin/sh"}, labels
	c.RootFS.Type, c.RootFS.DiffIDs = "layers", []string{plain}
	config, about, err := blob(typeConfig, c)
	if err != nil {
		return err
	}
	m := manifest{2, typeManifest, about, []descriptor{{MediaType: typeLayer, Digest: packed, Size: size}}, labels}
	top, aboutTop, err := blob(typeManifest, m)
	if err != nil {
		return err
	}
	aboutTop.Platform, aboutTop.Annotations = &where, map[string]string{"org.opencontainers.image.ref.name": "latest"}
	list, _, err := blob(typeIndex, index{2, typeIndex, []descriptor{aboutTop}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	err = errors.Join(
		add(out, "oci-layout", []byte(`{"imageLayoutVersion":"`+ociVersion+`"}`), at),
		add(out, "index.json", list, at), add(out, blobName(about.Digest), config, at), add(out, blobName(aboutTop.Digest), top, at),
		addLayer(out, blobName(packed), layer, size, at),
	)
	if err != nil {
		return err
	}
	return out.Close()
}

// pack compresses the root file system and gives the digests with and without compression.
func pack(ctx context.Context, rootTar, layer string) (packed, plain string, size int64, err error) {
	in, err := os.Open(rootTar)
	if err != nil {
		return "", "", 0, err
	}
	defer in.Close()
	sums := [2]hash.Hash{sha256.New(), sha256.New()}
	err = writeFile(layer, func(f io.Writer) error {
		zip := gzip.NewWriter(io.MultiWriter(f, sums[0]))
		if _, err := io.Copy(io.MultiWriter(zip, sums[1]), reader{ctx, in}); err != nil {
			return err
		}
		return zip.Close()
	})
	if err != nil {
		return "", "", 0, err
	}
	info, err := os.Stat(layer)
	if err != nil {
		return "", "", 0, err
	}
	return digest(sums[0]), digest(sums[1]), info.Size(), nil
}

func addLayer(out *tar.Writer, name, layer string, size int64, at time.Time) error {
	f, err := os.Open(layer)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: at}); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}

func blob(mediaType string, v any) ([]byte, descriptor, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, descriptor{}, err
	}
	sum := sha256.New()
	sum.Write(text)
	return text, descriptor{MediaType: mediaType, Digest: digest(sum), Size: int64(len(text))}, nil
}

func digest(sum hash.Hash) string { return "sha256:" + hex.EncodeToString(sum.Sum(nil)) }

func blobName(digest string) string { return "blobs/sha256/" + digest[len("sha256:"):] }

// reader ends when its context does.
type reader struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call of io.Copy
	in  io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}
