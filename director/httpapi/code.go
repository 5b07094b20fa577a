package httpapi

import (
	"context"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
	"conpaas/director/blob"
)

// codeRoutes are for services that host code, and for the settings of all services.
func (s *server) codeRoutes() {
	const one = "/v1/applications/{application}/services/{service}"
	wire.Register(s.api, wire.Route{Method: http.MethodPut, Path: one + "/settings", ID: "configure-service", Summary: "Change settings of a service", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Body api.SettingsChange
		},
		) (*body[api.Operation], error) {
			return answer(s.director.ConfigureService(ctx, actor(ctx), in.Application, in.Service, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/code", ID: "list-code", Summary: "Versions of the code of a service, the oldest first"},
		view(), func(ctx context.Context, in *struct {
			ServicePath
			Page
		},
		) (*body[api.List[api.CodeVersion]], error) {
			return answer(s.director.CodeVersions(ctx, actor(ctx), in.Application, in.Service, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one + "/code/uploads/{sha256}", ID: "show-upload", Summary: "How much of an archive is there of an upload that has broken off; one that would not be taken is refused"},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			SHA256 string `path:"sha256" doc:"Of the whole archive"`
			Size   int64  `query:"size" doc:"Bytes of the whole archive"`
		},
		) (*body[api.CodeUpload], error) {
			return answer(s.director.CodeUploaded(ctx, actor(ctx), in.Application, in.Service, in.SHA256, in.Size))
		})
	s.api.Raw(wire.Route{
		Method: http.MethodPost, Path: one + "/code", ID: "upload-code", Status: http.StatusCreated, MaxBody: blob.Max + 1, Body: wire.Bytes{},
		Summary: "Add a version: the body is a tar, tar.gz, tar.bz2, tar.xz or zip archive, or with sha256 and offset the rest of one, which can go on when it breaks off",
		Query: []wire.Query{
			wire.QueryText("filename", "Of the archive"), wire.QueryText("description", "For people"),
			wire.QueryFlag("enable", "Give requests this version, once every machine has checked it"),
			wire.QueryText("sha256", "Of the whole archive, so that the upload can go on when it breaks off"),
			wire.QueryNumber("offset", 0, math.MaxInt, "Bytes of the archive that are there already; with sha256"),
		},
	}, operate(), s.uploadCode)
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: one + "/code/enable", ID: "enable-code", Summary: "Give requests another version, once every machine has checked it", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Body api.CodeEnable
		},
		) (*body[api.Operation], error) {
			return answer(s.director.EnableCode(ctx, actor(ctx), in.Application, in.Service, in.Body))
		})
	s.api.Raw(wire.Route{Method: http.MethodGet, Path: one + "/code/{version}", ID: "download-code", Summary: "The archive of a version, as it was uploaded"},
		operate(), s.downloadCode)
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: one + "/code/{version}", ID: "delete-code", Summary: "Delete a version that is not enabled"},
		operate(), func(ctx context.Context, in *struct {
			ServicePath
			Version string `path:"version"`
		},
		) (*struct{}, error) {
			return &struct{}{}, s.director.DeleteCode(ctx, actor(ctx), in.Application, in.Service, in.Version)
		})
}

func (s *server) uploadCode(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	q := r.URL.Query()
	offset := wire.Number(r, "offset", 0)
	if offset > 0 && q.Get("sha256") == "" {
		return api.InField("query.offset", "want it together with sha256")
	}
	v, err := s.director.UploadCode(r.Context(), actor(r.Context()), path("application"), path("service"), app.CodeUpload{
		Filename: q.Get("filename"), Description: q.Get("description"), Enable: wire.Flag(r, "enable"), Size: r.ContentLength, Body: r.Body,
		SHA256: q.Get("sha256"), Offset: int64(offset),
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, v)
}

func (s *server) downloadCode(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	v, archive, err := s.director.CodeArchive(r.Context(), actor(r.Context()), path("application"), path("service"), path("version"))
	if err != nil {
		return err
	}
	defer archive.Close()
	name := v.Filename
	if name == "" {
		name = v.ID + "." + v.Format
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(v.Size, 10))
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err = io.Copy(w, archive)
	return err
}
