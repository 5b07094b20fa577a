package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/mount"
)

// Images gives the images that were published to the cloud, the oldest first.
func (c *Cloud) Images(ctx context.Context) ([]cloud.Image, error) {
	_, call, err := c.begin(ctx, "images")
	if err != nil {
		return nil, err
	}
	list, err := c.published.List()
	if err = call.end(err); err != nil {
		return nil, err
	}
	return list, nil
}

// AddImage keeps an image of a form that machines of the cloud can boot.
func (c *Cloud) AddImage(ctx context.Context, spec cloud.ImageSpec, content io.Reader) (cloud.ImageID, error) {
	const op = "add-image"
	ctx, call, err := c.begin(ctx, op)
	if err != nil {
		return "", err
	}
	var i cloud.Image
	if err = c.bootable(op, spec); err == nil {
		i, err = c.published.Add(ctx, spec, content)
	}
	if err = call.end(err); err != nil {
		return "", err
	}
	return i.ID, nil
}

// bootable refuses an image that machines of the cloud cannot boot.
func (c *Cloud) bootable(op string, i cloud.ImageSpec) error {
	forms := []api.ImageFormat{api.ImageRaw, api.ImageQCOW2}
	if c.set.runtime == RuntimeContainer || c.set.runtime == RuntimeProcess {
		forms = []api.ImageFormat{api.ImageRootFS}
	}
	switch {
	case !slices.Contains(forms, i.Format):
		return c.wrong(op, "image %q has the format %s; machines of RUNTIME %s boot: %v", i.Name, i.Format, c.set.runtime, forms)
	case i.Architecture != runtime.GOARCH:
		return c.wrong(op, "image %q is for %s; this host is %s", i.Name, i.Architecture, runtime.GOARCH)
	}
	return nil
}

// RemoveImage removes an image that no machine has, and what was unpacked of it.
func (c *Cloud) RemoveImage(ctx context.Context, id cloud.ImageID) error {
	_, call, err := c.begin(ctx, "remove-image")
	if err != nil {
		return err
	}
	return call.end(c.removeImage(id))
}

func (c *Cloud) removeImage(id cloud.ImageID) error {
	c.choosing.Lock()
	defer c.choosing.Unlock()
	i, _, err := c.published.Find(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if users := c.users(id); len(users) > 0 {
		return &cloud.Error{
			Kind: cloud.KindInUse, Cloud: c.config.Name, Op: "remove-image",
			Text: fmt.Sprintf("image %s is used by %d machines: %s; remove them first", id, len(users), strings.Join(users, ", ")),
		}
	}
	if err := errors.Join(err, c.published.Remove(id)); err != nil {
		return err
	}
	c.kind.forget(i.SHA256)
	return nil
}

// users names the machines of an image.
func (c *Cloud) users(id cloud.ImageID) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if r := m.now.Load(); r != nil && r.Published == id {
			names = append(names, fmt.Sprintf("%s (%s)", r.ID, r.Token))
		}
	}
	slices.Sort(names)
	return names
}

// choose records a machine that is to be made, together with its image: from then on that cannot be removed.
func (c *Cloud) choose(m *machine, r record) error {
	c.choosing.RLock()
	defer c.choosing.RUnlock()
	if r.Published != "" {
		i, _, err := c.published.Find(r.Published)
		if errors.Is(err, fs.ErrNotExist) {
			return &cloud.Error{
				Kind: cloud.KindNotFound, Cloud: c.config.Name, Op: "launch",
				Text: fmt.Sprintf("there is no image %.80q; see: cps cloud images %s", r.Published, c.config.Name),
			}
		}
		if err == nil {
			err = c.bootable("launch", i.ImageSpec)
		}
		if err != nil {
			return err
		}
	}
	return c.keep(m, r)
}

// forget removes what was unpacked of an image, unless a machine may have it. What cannot be removed now is removed at the next
// start.
func (k *containers) forget(digest string) {
	k.preparing.Lock()
	defer k.preparing.Unlock()
	if k.cloud.holds(digest) {
		return
	}
	points, err := filepath.Glob(filepath.Join(k.cloud.at.lower(), digest+"-*"))
	for _, point := range points {
		err = errors.Join(err, mount.Unmount(point), os.Remove(point))
	}
	if err = errors.Join(err, k.images.Remove(digest)); err != nil {
		k.cloud.config.Log.Warn("what was unpacked of an image is left until the next start", "digest", digest, daemon.KeyError, err)
	}
}

// forget removes the copy of an image, unless a machine may have it.
func (k *vms) forget(digest string) {
	k.preparing.Lock()
	defer k.preparing.Unlock()
	if k.cloud.holds(digest) {
		return
	}
	if err := k.images.Remove(digest); err != nil {
		k.cloud.config.Log.Warn("the copy of an image is left until the next start", "digest", digest, daemon.KeyError, err)
	}
}

// holds tells whether a machine may have what was made of an image: one that is being made may have taken it already.
func (c *Cloud) holds(digest string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if r := m.now.Load(); r == nil || !r.Whole || r.Image == digest {
			return true
		}
	}
	return false
}

// forget has nothing to do: processes have no root file system.
func (k *processes) forget(string) {}
