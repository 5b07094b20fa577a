package app

import (
	"context"
	"fmt"
	"regexp"

	"conpaas/client/api"
	"conpaas/director/blob"
	"conpaas/director/store"
)

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// partName names the upload of an archive for a service.
func partName(s store.Service, sum string) string {
	return blob.PartName(fmt.Sprintf("%d-%d", s.Application, s.ID), sum)
}

// CodeUploaded tells how much of an archive of size bytes is there of an upload that has broken off. An archive that would not be
// taken is refused here, before it is sent.
func (d *Director) CodeUploaded(ctx context.Context, a Actor, ref, service, sum string, size int64) (api.CodeUpload, error) {
	out := api.CodeUpload{SHA256: sum}
	s, err := d.hosting(ctx, a, ref, service, toOperate, true)
	if err != nil {
		return out, err
	}
	if !digest.MatchString(sum) {
		return out, api.InField("path.sha256", "%.80q is no SHA-256 in lower case", sum)
	}
	out.Length, err = d.blobs.Part(partName(s, sum), size)
	return out, err
}

// receiveCode reads an archive, or the rest of one.
func (d *Director) receiveCode(ctx context.Context, s store.Service, in CodeUpload) (u *blob.Upload, err error) {
	if in.SHA256 == "" {
		return d.blobs.Receive(ctx, in.Body, in.Size)
	}
	switch {
	case !digest.MatchString(in.SHA256):
		return nil, api.InField("query.sha256", "%.80q is no SHA-256 in lower case", in.SHA256)
	case in.Offset < 0 || in.Size < 0 || in.Offset > blob.Max || in.Size > blob.Max:
		return nil, api.InField("query.offset", "say where the part begins, and by Content-Length how long it is")
	}
	name := partName(s, in.SHA256)
	if !d.blobs.Hold(name) {
		return nil, api.Errorf(api.CodeConflict, "the archive is being uploaded already; wait, or break that off")
	}
	defer d.blobs.Release(name)
	return d.blobs.ReceivePart(ctx, name, in.SHA256, in.Offset, in.Size, in.Body)
}
