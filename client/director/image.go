package director

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// ImageUpload is an image that is to be published.
type ImageUpload struct {
	Name         string
	Format       api.ImageFormat
	Architecture string
	SHA256       string            // of all bytes, lower-case hex
	Services     []api.ServiceType // empty: not told
	Version      string
	Use          bool // new machines start from it
	Size         int64
	Content      io.Reader // Size bytes; it is not read before the director is ready to take it
}

// PublishImage gives an image to a cloud.
func (c *Client) PublishImage(ctx context.Context, cloud string, in ImageUpload) (api.Image, error) {
	services := make([]string, len(in.Services))
	for i, s := range in.Services {
		services[i] = string(s)
	}
	q := url.Values{
		"name": {in.Name}, "format": {string(in.Format)}, "architecture": {in.Architecture}, "sha256": {in.SHA256},
		"services": {strings.Join(services, ",")}, "version": {in.Version},
	}
	if in.Use {
		q.Set("use", "true")
	}
	out, err := wire.Call[api.Image](ctx, c.wire, http.MethodPost, with(path("clouds", cloud, "images"), q), in.Content,
		func(r *http.Request) {
			r.ContentLength = in.Size
			r.Header.Set("Expect", "100-continue") // what is refused anyway need not be sent
		})
	return out, c.refused(err)
}

// Images lists the images of a cloud.
func (c *Client) Images(ctx context.Context, cloud string) ([]api.Image, error) {
	return list[api.Image](ctx, c, path("clouds", cloud, "images"), nil)
}

// Image gives one image of a cloud.
func (c *Client) Image(ctx context.Context, cloud, id string) (api.Image, error) {
	return get[api.Image](ctx, c, path("clouds", cloud, "images", id))
}

// UseImage says from which image new machines of a cloud start; id "": what the settings of the cloud say.
func (c *Client) UseImage(ctx context.Context, cloud, id string) error {
	_, err := send[struct{}](ctx, c, http.MethodPut, path("clouds", cloud, "image"), api.ImageUse{Image: id})
	return err
}

// RemoveImage removes an image from its cloud.
func (c *Client) RemoveImage(ctx context.Context, cloud, id string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, path("clouds", cloud, "images", id), nil)
	return err
}
