package command_test

import (
	"net/http"
	"strings"

	"conpaas/client/api"
)

// imageRoutes are those of the images of cloud default: one that is chosen, and one that nobody knows. image is the one that was
// chosen last.
func (f *fake) imageRoutes(add func(pattern, query string, public bool, h func(http.ResponseWriter, *http.Request))) {
	images := []api.Image{
		{
			ID: "image-1", Cloud: "default", Name: hostile, Format: api.ImageRootFS, Architecture: "amd64", Size: 3 << 20, SHA256: strings.Repeat("a", 64),
			Services: []api.ServiceType{api.Helloworld, api.PHP}, Version: "9.9", Created: begun, By: fakeUser, Current: true, State: api.ImageAvailable,
		},
		{ID: "image-2", Cloud: "default", Name: "left", Format: api.ImageRaw, Size: 1 << 30, Services: []api.ServiceType{}, Created: begun, State: api.ImageUnknown},
	}
	one := func(h func(w http.ResponseWriter, i int)) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			for i, image := range images {
				if image.ID == r.PathValue("image") {
					h(w, i)
					return
				}
			}
			problem(w, api.Errorf(api.CodeNotFound, "there is no image %q", r.PathValue("image")))
		}
	}
	add("GET /v1/clouds/{cloud}/images", "after", false, func(w http.ResponseWriter, r *http.Request) { list(f, w, r, images) })
	add("GET /v1/clouds/{cloud}/images/{image}", "", false, one(func(w http.ResponseWriter, i int) { answer(w, http.StatusOK, images[i]) }))
	add("DELETE /v1/clouds/{cloud}/images/{image}", "", false, one(func(w http.ResponseWriter, i int) {
		if images[i].Current {
			problem(w, api.Errorf(api.CodeConflict, "new machines start from it"))
			return
		}
		images = append(images[:i:i], images[i+1:]...)
		w.WriteHeader(http.StatusNoContent)
	}))
	add("PUT /v1/clouds/{cloud}/image", "", false, func(w http.ResponseWriter, r *http.Request) {
		in, ok := body[api.ImageUse](f, w, r)
		if !ok {
			return
		}
		for i := range images {
			images[i].Current = images[i].ID == in.Image
		}
		w.WriteHeader(http.StatusNoContent)
	})
}
