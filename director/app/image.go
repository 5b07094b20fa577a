package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/store"
)

// keeping gives a cloud that keeps images.
func (d *Director) keeping(name string) (*place, cloud.Images, error) {
	p, ok := d.places[name]
	if !ok {
		return nil, nil, api.Errorf(api.CodeNotFound, "cloud %.80q is not configured", name)
	}
	images, ok := p.provider.(cloud.Images)
	if !ok {
		return nil, nil, api.Errorf(api.CodeUnsupported, "cloud %q of kind %s keeps no images; its machines start from what its settings say", name, p.kind)
	}
	return p, images, nil
}

// Images gives a page of the images of a cloud: those that it has, and those that it should have.
func (d *Director) Images(ctx context.Context, name string, page Page) (list api.List[api.Image], err error) {
	p, images, err := d.keeping(name)
	if err != nil {
		return list, err
	}
	all, err := d.images(ctx, p, images)
	if err != nil {
		return list, err
	}
	return pageOf(all, page, func(i api.Image) string { return i.ID })
}

// images compares what the cloud has with what is known.
func (d *Director) images(ctx context.Context, p *place, images cloud.Images) ([]api.Image, error) {
	var known []store.Image
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		known, err = r.Images(p.name)
		return err
	})
	if err != nil {
		return nil, problem(err)
	}
	var there []cloud.Image
	err = p.call(ctx, func(ctx context.Context) (err error) {
		there, err = images.Images(ctx)
		return err
	})
	if err != nil {
		return nil, cloudProblem(err)
	}
	out := []api.Image{}
	for _, k := range known {
		i := showImage(k, api.ImageMissing)
		at := slices.IndexFunc(there, func(t cloud.Image) bool { return string(t.ID) == k.ID })
		if at >= 0 {
			i.State = api.ImageAvailable
			there = slices.Delete(there, at, at+1)
		}
		out = append(out, i)
	}
	for _, t := range there {
		out = append(out, api.Image{
			ID: string(t.ID), Cloud: p.name, Name: t.Name, Format: t.Format, Architecture: t.Architecture, Size: t.Size, SHA256: t.SHA256,
			Services: []api.ServiceType{}, Created: t.Created, State: api.ImageUnknown,
		})
	}
	return out, nil
}

func showImage(i store.Image, state api.ImageState) api.Image {
	return api.Image{
		ID: i.ID, Cloud: i.Cloud, Name: i.Name, Format: i.Format, Architecture: i.Architecture, Size: i.Size, SHA256: i.SHA256,
		Services: i.Services, Version: i.Version, Created: i.Created, By: i.By, Current: i.Current, State: state,
	}
}

// Image gives one image of a cloud.
func (d *Director) Image(ctx context.Context, name, id string) (api.Image, error) {
	p, images, err := d.keeping(name)
	if err != nil {
		return api.Image{}, err
	}
	return d.image(ctx, p, images, id)
}

func (d *Director) image(ctx context.Context, p *place, images cloud.Images, id string) (api.Image, error) {
	all, err := d.images(ctx, p, images)
	if err != nil {
		return api.Image{}, err
	}
	for _, i := range all {
		if i.ID == id {
			return i, nil
		}
	}
	return api.Image{}, api.Errorf(api.CodeNotFound, "cloud %q has no image %.80q", p.name, id)
}

// UseImage says from which image new machines of a cloud start; id "": what the settings of the cloud say. Machines that there are
// go on as they are.
func (d *Director) UseImage(ctx context.Context, name, id string) error {
	p, images, err := d.keeping(name)
	if err != nil {
		return err
	}
	p.images.Lock()
	defer p.images.Unlock()
	if id != "" {
		switch i, err := d.image(ctx, p, images, id); {
		case err != nil:
			return err
		case i.State != api.ImageAvailable:
			return api.Errorf(api.CodeConflict, "image %q of cloud %q is %s: machines cannot start from it; publish it again: cpsimage publish", id, name, i.State)
		}
	}
	return problem(d.store.Update(ctx, "image.used", func(tx *store.Tx) error { return tx.UseImage(name, id) }))
}

// RemoveImage removes an image from its cloud, and what is known of it; the one that new machines start from is kept. What is left
// of a removal that broke off in between is removed by the next one.
func (d *Director) RemoveImage(ctx context.Context, name, id string) error {
	p, images, err := d.keeping(name)
	if err != nil {
		return err
	}
	p.images.Lock()
	defer p.images.Unlock()
	i, err := d.image(ctx, p, images, id)
	if err != nil {
		return err
	}
	if i.Current {
		return api.Errorf(api.CodeConflict, "new machines of cloud %q start from image %q; choose another one first: cps cloud image use %s, or --none", name, id, name)
	}
	err = p.call(ctx, func(ctx context.Context) error { return images.RemoveImage(ctx, cloud.ImageID(id)) })
	if err != nil {
		return cloudProblem(err)
	}
	return problem(d.store.Update(ctx, "image.removed", func(tx *store.Tx) error { return tx.DeleteImage(name, id) }))
}

// currentImage gives the image that new machines of a cloud start from, a zero one where its settings say it.
func (d *Director) currentImage(ctx context.Context, cloud string) (i store.Image, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		i, err = r.CurrentImage(cloud)
		return err
	})
	return i, err
}

// needsPackages refuses a service whose packages are not in the image that its machines would start from. Of an image that does not
// tell what it has, nothing is refused.
func needsPackages(tx *store.Tx, s store.Service) error {
	i, err := tx.CurrentImage(s.Cloud)
	if err != nil || len(i.Services) == 0 || slices.Contains(i.Services, s.Type) {
		return err
	}
	names := converted(i.Services, func(t api.ServiceType) string { return string(t) })
	return api.Errorf(api.CodeConflict,
		"image %q of cloud %q, from which new machines start, has no packages of service type %s, only those of: %s; an administrator makes one that has, cpsimage build --services %s,…, and publishes it: cpsimage publish --cloud %s --use",
		i.Name, s.Cloud, s.Type, strings.Join(names, ", "), s.Type, s.Cloud)
}

// checkImage tells whether the cloud still has the image that its machines start from.
func (d *Director) checkImage(ctx context.Context, p *place) (c api.Check, chosen bool, err error) {
	current, err := d.currentImage(ctx, p.name)
	images, ok := p.provider.(cloud.Images)
	if err != nil || !ok || current.ID == "" {
		return c, false, problem(err)
	}
	c = api.Check{Name: "chosen image", OK: true, Detail: fmt.Sprintf("new machines start from %s (%s)", current.ID, current.Name)}
	if i, err := d.image(ctx, p, images, current.ID); err != nil {
		c.OK, c.Detail = false, err.Error()
	} else if i.State != api.ImageAvailable {
		c.OK, c.Detail = false, fmt.Sprintf("image %s (%s), from which new machines start, is %s; choose another one: cps cloud image use %s", i.ID, i.Name, i.State, p.name)
	}
	return c, true, nil
}
