// Package code unpacks versions of the code of services on their machines, within limits.
//
// It knows nothing of what the code is, nor which versions are wanted.
package code

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/client/api"
	"conpaas/client/archive"
)

var (
	versionName = regexp.MustCompile(`^code-([A-Za-z0-9]{6}|default)$`)
	digestHex   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// MaxVersions bounds the versions of one configuration.
const MaxVersions = 16

// IsVersion tells whether a text is the id of a version: one plain word to every program.
func IsVersion(id string) bool { return versionName.MatchString(id) }

// Check refuses versions that no director has let through.
func Check(all []api.CodeBlob) error {
	if len(all) > MaxVersions {
		return fmt.Errorf("it names %d code versions; at most %d are allowed", len(all), MaxVersions)
	}
	formats := []string{archive.Tar, archive.TarGzip, archive.TarBzip2, archive.TarXZ, archive.Zip}
	for _, v := range all {
		switch {
		case !versionName.MatchString(v.ID):
			return fmt.Errorf("%.80q is no id of a code version", v.ID)
		case v.ID == api.CodeDefault && v.SHA256 == "":
		case v.ID == api.CodeDefault || !digestHex.MatchString(v.SHA256):
			return fmt.Errorf("code version %s has the SHA-256 %.80q", v.ID, v.SHA256)
		case !slices.Contains(formats, v.Format):
			return fmt.Errorf("code version %s has the format %.20q; it is one of %s", v.ID, v.Format, strings.Join(formats, ", "))
		}
	}
	return nil
}

// Staging is where Extract unpacks a version before it has its name.
func Staging(dir, id string) string { return dir + "/new-" + id }

// Extract unpacks the blob of a version as DIR/ID below the host's state, which must not be there yet; the files are root's. It is there with
// all its content on disk, or not at all: what was begun is at Staging. An *archive.Error is about the archive, a *service.Waiting says that
// the blob has not come yet. Where shape is not nil it may change what was unpacked, in the directory below the host's state that it is given.
func Extract(ctx context.Context, h *host.Host, dir string, v api.CodeBlob, shape func(dir string) error) error {
	blob, size, err := service.OpenBlob(h, v.SHA256)
	if err != nil {
		return err
	}
	defer blob.Close()
	staging := Staging(dir, v.ID)
	if err := h.State().Remove(staging); err != nil {
		return err
	}
	if err := h.State().Mkdir(staging, 0o755, host.User{}); err != nil {
		return err
	}
	root, err := h.State().Directory(staging)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := archive.Extract(ctx, blob, size, v.Format, root, archive.DefaultLimits()); err != nil {
		return err
	}
	if shape != nil {
		if err := shape(staging); err != nil {
			return err
		}
	}
	if err := h.State().Flush(staging); err != nil {
		return err
	}
	return h.State().Rename(staging, dir+"/"+v.ID)
}
