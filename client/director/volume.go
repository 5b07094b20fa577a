package director

import (
	"context"
	"net/http"

	"conpaas/client/api"
)

// Volumes lists the volumes of an application, orphans left out.
func (c *Client) Volumes(ctx context.Context, application string) ([]api.Volume, error) {
	return list[api.Volume](ctx, c, volumePath(application), nil)
}

// Volume gives one volume.
func (c *Client) Volume(ctx context.Context, application, volume string) (api.Volume, error) {
	return get[api.Volume](ctx, c, volumePath(application, volume))
}

// CreateVolume begins to make a volume.
func (c *Client) CreateVolume(ctx context.Context, application string, in api.VolumeCreate) (api.Operation, error) {
	return post[api.Operation](ctx, c, volumePath(application), in)
}

// AttachVolume begins to give a volume to a machine.
func (c *Client) AttachVolume(ctx context.Context, application, volume string, in api.VolumeAttach) (api.Operation, error) {
	return post[api.Operation](ctx, c, volumePath(application, volume, "attach"), in)
}

// DetachVolume begins to take a volume from its machine.
func (c *Client) DetachVolume(ctx context.Context, application, volume string) (api.Operation, error) {
	return post[api.Operation](ctx, c, volumePath(application, volume, "detach"), nil)
}

// DeleteVolume begins to destroy a volume that no machine has.
func (c *Client) DeleteVolume(ctx context.Context, application, volume string) (api.Operation, error) {
	return send[api.Operation](ctx, c, http.MethodDelete, volumePath(application, volume), nil)
}

// Orphans lists the user's volumes that nothing needs any more.
func (c *Client) Orphans(ctx context.Context) ([]api.Volume, error) {
	return list[api.Volume](ctx, c, path("orphans"), nil)
}

// RestoreVolume gives an orphaned volume to an application.
func (c *Client) RestoreVolume(ctx context.Context, volume string, in api.VolumeRestore) (api.Volume, error) {
	return post[api.Volume](ctx, c, path("orphans", volume, "restore"), in)
}

// DeleteOrphan destroys an orphaned volume before its time.
func (c *Client) DeleteOrphan(ctx context.Context, volume string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, path("orphans", volume), nil)
	return err
}

func volumePath(application string, more ...string) string {
	return path(append([]string{"applications", application, "volumes"}, more...)...)
}
