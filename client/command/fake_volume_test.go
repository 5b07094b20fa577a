package command_test

import (
	"net/http"

	"conpaas/client/api"
)

func (f *fake) volumeRoutes(add func(pattern, query string, public bool, h func(w http.ResponseWriter, r *http.Request))) {
	const all, one = "/v1/applications/{application}/volumes", "/v1/applications/{application}/volumes/{volume}"
	files := api.Volume{
		ID: "v1", Name: "files", Application: 1, Service: 1, Role: "node", Mount: api.VolumeDir + "/files", Cloud: "default", SizeMiB: 2048, State: api.VolumeAttached,
		Node: "n2", Since: begun, Created: begun,
	}
	until := begun.AddDate(0, 0, 7)
	orphan := api.Volume{ID: "v2", Name: "data-v2", Origin: hostile, Cloud: "default", SizeMiB: 1024, State: api.VolumeOrphan, Since: begun, Created: begun, Until: &until}
	add("GET "+all, "after", false, f.withApp(func(w http.ResponseWriter, r *http.Request, a *api.Application) {
		if a.ID == 1 {
			list(f, w, r, []api.Volume{files})
			return
		}
		list(f, w, r, []api.Volume{})
	}))
	add("POST "+all, "", false, f.withApp(func(w http.ResponseWriter, r *http.Request, _ *api.Application) {
		in, ok := body[api.VolumeCreate](f, w, r)
		switch {
		case !ok:
		case in.SizeMiB < api.MinVolumeMiB:
			problem(w, api.InField("size_mib", "%d MiB cannot be the size of a volume: want %d to %d", in.SizeMiB, api.MinVolumeMiB, api.MaxVolumeMiB))
		default:
			f.begin(api.OpVolumeCreate)(w, r)
		}
	}))
	add("GET "+one, "", false, f.withApp(func(w http.ResponseWriter, r *http.Request, _ *api.Application) {
		if r.PathValue("volume") != files.Name {
			problem(w, api.Errorf(api.CodeNotFound, "there is no volume %q", r.PathValue("volume")))
			return
		}
		answer(w, http.StatusOK, files)
	}))
	add("DELETE "+one, "", false, f.begin(api.OpVolumeDelete))
	add("POST "+one+"/attach", "", false, f.withApp(func(w http.ResponseWriter, r *http.Request, a *api.Application) {
		if in, ok := body[api.VolumeAttach](f, w, r); ok && in.Node == "n2" || in.Service == "hello" && in.Role == "node" {
			f.begin(api.OpVolumeAttach)(w, r)
		} else if ok {
			problem(w, api.InField("node", "application %q has no node %q", a.Name, in.Node))
		}
	}))
	add("POST "+one+"/detach", "", false, f.begin(api.OpVolumeDetach))
	add("GET /v1/orphans", "after", false, func(w http.ResponseWriter, r *http.Request) { list(f, w, r, []api.Volume{orphan}) })
	add("POST /v1/orphans/{orphan}/restore", "", false, func(w http.ResponseWriter, r *http.Request) {
		if in, ok := body[api.VolumeRestore](f, w, r); ok {
			v := files
			v.ID, v.State, v.Name = api.VolumeID(r.PathValue("orphan")), api.VolumeAvailable, in.Name
			answer(w, http.StatusOK, v)
		}
	})
	add("DELETE /v1/orphans/{orphan}", "", false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}
