package httpapi

import (
	"context"
	"net/http"
	"strings"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
)

// ImagePath names an image of a cloud.
type ImagePath struct {
	Cloud string `path:"cloud" doc:"Name"`
	Image string `path:"image" doc:"Id at the cloud"`
}

func (s *server) imageRoutes() {
	const all, one = "/v1/clouds/{cloud}/images", "/v1/clouds/{cloud}/images/{image}"
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: all, ID: "list-images", Summary: "Images that machines of a cloud can start from"},
		admin(), func(ctx context.Context, in *struct {
			CloudPath
			Page
		},
		) (*body[api.List[api.Image]], error) {
			return answer(s.director.Images(ctx, in.Cloud, in.page()))
		})
	s.api.Raw(wire.Route{
		Method: http.MethodPost, Path: all, ID: "publish-image", Status: http.StatusCreated, MaxBody: api.MaxImage, Body: wire.Bytes{},
		Summary: "Publish an image to a cloud: the body is its bytes, which go there as they come (answer Image). What breaks off leaves nothing",
		Query: []wire.Query{
			wire.QueryText("name", "For people"), wire.QueryText("format", "For example rootfs, raw, qcow2"),
			wire.QueryText("architecture", "As Debian names it, for example amd64"), wire.QueryText("sha256", "Of all bytes, lower-case hex"),
			wire.QueryText("services", "Service types whose packages it holds, with commas between; empty: not told"),
			wire.QueryText("version", "Of what made it"), wire.QueryFlag("use", "New machines of the cloud start from it"),
		},
	}, admin(), s.publishImage)
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one, ID: "show-image", Summary: "One image of a cloud"},
		admin(), func(ctx context.Context, in *ImagePath) (*body[api.Image], error) {
			return answer(s.director.Image(ctx, in.Cloud, in.Image))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: one, ID: "remove-image", Summary: "Remove an image that no machine needs from its cloud", Status: http.StatusNoContent},
		admin(), func(ctx context.Context, in *ImagePath) (*struct{}, error) {
			return nil, s.director.RemoveImage(ctx, in.Cloud, in.Image)
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPut, Path: "/v1/clouds/{cloud}/image", ID: "use-image", Summary: "Say from which image new machines of a cloud start", Status: http.StatusNoContent},
		admin(), func(ctx context.Context, in *struct {
			CloudPath
			Body api.ImageUse
		},
		) (*struct{}, error) {
			return nil, s.director.UseImage(ctx, in.Cloud, in.Body.Image)
		})
}

func (s *server) publishImage(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	q := r.URL.Query()
	services := []api.ServiceType{}
	for name := range strings.SplitSeq(q.Get("services"), ",") {
		if name != "" {
			services = append(services, api.ServiceType(name))
		}
	}
	i, err := s.director.PublishImage(r.Context(), actor(r.Context()), path("cloud"), app.ImageUpload{
		Name: q.Get("name"), Format: api.ImageFormat(q.Get("format")), Architecture: q.Get("architecture"), SHA256: q.Get("sha256"),
		Services: services, Version: q.Get("version"), Use: wire.Flag(r, "use"), Size: r.ContentLength, Body: r.Body,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, i)
}
