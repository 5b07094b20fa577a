package httpapi

import (
	"context"
	"net/http"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// VolumePath names a volume of an application.
type VolumePath struct {
	Volume string `path:"volume" doc:"Id or name"`
}

// OrphanPath names an orphan.
type OrphanPath struct {
	Orphan string `path:"orphan" doc:"Id of the volume"`
}

func (s *server) volumeRoutes() {
	const all, one, orphans = "/v1/applications/{application}/volumes", "/v1/applications/{application}/volumes/{volume}", "/v1/orphans"
	type path = struct {
		ApplicationPath
		VolumePath
	}
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: all, ID: "list-volumes", Summary: "The volumes of an application, orphans left out"},
		view(), func(ctx context.Context, in *struct {
			ApplicationPath
			Page
		},
		) (*body[api.List[api.Volume]], error) {
			return answer(s.director.Volumes(ctx, actor(ctx), in.Application, in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: all, ID: "create-volume", Summary: "Make a volume, for a machine where one is named", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *struct {
			ApplicationPath
			Body api.VolumeCreate
		},
		) (*body[api.Operation], error) {
			return answer(s.director.CreateVolume(ctx, actor(ctx), in.Application, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: one, ID: "show-volume", Summary: "One volume"},
		view(), func(ctx context.Context, in *path) (*body[api.Volume], error) {
			return answer(s.director.Volume(ctx, actor(ctx), in.Application, in.Volume))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: one + "/attach", ID: "attach-volume", Summary: "Give a volume to a machine, and later to the one that takes its place", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *struct {
			ApplicationPath
			VolumePath
			Body api.VolumeAttach
		},
		) (*body[api.Operation], error) {
			return answer(s.director.AttachVolume(ctx, actor(ctx), in.Application, in.Volume, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: one + "/detach", ID: "detach-volume", Summary: "Take a volume from its machine", Status: http.StatusAccepted},
		operate(), func(ctx context.Context, in *path) (*body[api.Operation], error) {
			return answer(s.director.DetachVolume(ctx, actor(ctx), in.Application, in.Volume))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: one, ID: "delete-volume", Summary: "Destroy a volume that no machine has", Status: http.StatusAccepted},
		own(), func(ctx context.Context, in *path) (*body[api.Operation], error) {
			return answer(s.director.DeleteVolume(ctx, actor(ctx), in.Application, in.Volume))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodGet, Path: orphans, ID: "list-orphans", Summary: "The user's volumes that nothing needs any more, until they are destroyed; an administrator sees those of nobody, too"},
		user(), func(ctx context.Context, in *Page) (*body[api.List[api.Volume]], error) {
			return answer(s.director.Orphans(ctx, actor(ctx), in.page()))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodPost, Path: orphans + "/{orphan}/restore", ID: "restore-orphan", Summary: "Give an orphaned volume to an application"},
		user(), func(ctx context.Context, in *struct {
			OrphanPath
			Body api.VolumeRestore
		},
		) (*body[api.Volume], error) {
			return answer(s.director.RestoreVolume(ctx, actor(ctx), in.Orphan, in.Body))
		})
	wire.Register(s.api, wire.Route{Method: http.MethodDelete, Path: orphans + "/{orphan}", ID: "delete-orphan", Summary: "Destroy an orphaned volume before its time", Status: http.StatusNoContent},
		user(), func(ctx context.Context, in *OrphanPath) (*struct{}, error) {
			return nil, s.director.DeleteOrphan(ctx, actor(ctx), in.Orphan)
		})
}
