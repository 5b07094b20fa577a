package director

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Configure begins to change settings of a service; those that are not named stay as they are.
func (c *Client) Configure(ctx context.Context, application, service string, settings map[string]string) (api.Operation, error) {
	return send[api.Operation](ctx, c, http.MethodPut, servicePath(application, service, "settings"), api.SettingsChange{Settings: settings})
}

// Upload is an archive with the code of a service, or the rest of one.
type Upload struct {
	Filename    string
	Description string
	Enable      bool // begin to enable it: the answer names the operation
	Size        int64
	Archive     io.Reader // Size bytes

	SHA256 string // of the whole archive; where it is not empty an upload that breaks off can go on
	Offset int64  // where Archive begins in the whole one: what CodeUploaded has said
}

// CodeUploaded tells how much of an archive is there of an upload that has broken off; 0 bytes for none. An archive
// that would not be taken is refused: api.CodeTooLarge, api.CodeFull, api.CodeQuota.
func (c *Client) CodeUploaded(ctx context.Context, application, service, sha256 string, size int64) (api.CodeUpload, error) {
	q := url.Values{"size": {strconv.FormatInt(size, 10)}}
	return get[api.CodeUpload](ctx, c, with(servicePath(application, service, "code", "uploads", sha256), q))
}

// UploadCode adds a version to the code of a service.
func (c *Client) UploadCode(ctx context.Context, application, service string, in Upload) (api.CodeVersion, error) {
	q := url.Values{"filename": {in.Filename}}
	if in.Description != "" {
		q.Set("description", in.Description)
	}
	if in.Enable {
		q.Set("enable", "true")
	}
	if in.SHA256 != "" {
		q.Set("sha256", in.SHA256)
		q.Set("offset", strconv.FormatInt(in.Offset, 10))
	}
	out, err := wire.Call[api.CodeVersion](ctx, c.wire, http.MethodPost, with(servicePath(application, service, "code"), q), in.Archive,
		func(r *http.Request) {
			if r.ContentLength = in.Size; in.Size == 0 {
				r.Body = http.NoBody // another body of no bytes counts as one of unknown length
			}
		})
	return out, c.refused(err)
}

// CodeVersions lists the versions of the code of a service, the oldest first.
func (c *Client) CodeVersions(ctx context.Context, application, service string) ([]api.CodeVersion, error) {
	return list[api.CodeVersion](ctx, c, servicePath(application, service, "code"), nil)
}

// DownloadCode gives the archive of a version as it was uploaded. The caller closes it.
func (c *Client) DownloadCode(ctx context.Context, application, service, version string) (io.ReadCloser, error) {
	return stream(ctx, c, http.MethodGet, servicePath(application, service, "code", version), nil)
}

// DeleteCode deletes a version that is not enabled.
func (c *Client) DeleteCode(ctx context.Context, application, service, version string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, servicePath(application, service, "code", version), nil)
	return err
}

// EnableCode begins to give requests another version.
func (c *Client) EnableCode(ctx context.Context, application, service, version string) (api.Operation, error) {
	return post[api.Operation](ctx, c, servicePath(application, service, "code", "enable"), api.CodeEnable{Version: version})
}
