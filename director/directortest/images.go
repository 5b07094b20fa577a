package directortest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"conpaas/director/cloud"
)

// images are those of a cloud in memory, without their content.
type images struct {
	mu    sync.Mutex
	all   map[cloud.ImageID]cloud.Image
	added int
	// refuse, where it is set, may refuse to add or to remove an image.
	refuse func(op string) error
}

// RefuseImages sets who decides about images: it is asked before one is added (add-image) and before one is removed
// (remove-image); nil refuses none.
func (c *Cloud) RefuseImages(f func(op string) error) {
	c.images.mu.Lock()
	defer c.images.mu.Unlock()
	c.images.refuse = f
}

func (c *Cloud) imageError(kind cloud.Kind, op, text string, err error) error {
	return &cloud.Error{Kind: kind, Cloud: "memory", Op: op, Text: text, Err: err}
}

// asked gives why an operation is refused.
func (i *images) asked(op string) error {
	i.mu.Lock()
	refuse := i.refuse
	i.mu.Unlock()
	if refuse == nil {
		return nil
	}
	return refuse(op)
}

// Images gives the images, the oldest first.
func (c *Cloud) Images(ctx context.Context) ([]cloud.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.imageError(cloud.KindTransient, "images", "", err)
	}
	c.images.mu.Lock()
	defer c.images.mu.Unlock()
	list := []cloud.Image{}
	for _, i := range c.images.all {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b cloud.Image) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// AddImage reads an image and keeps what is said of it.
func (c *Cloud) AddImage(ctx context.Context, spec cloud.ImageSpec, content io.Reader) (cloud.ImageID, error) {
	const op = "add-image"
	if err := c.images.asked(op); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", c.imageError(cloud.KindTransient, op, "", err)
	}
	_, err := io.Copy(io.Discard, spec.Content(content))
	kind := cloud.KindPermanent
	if ended := ctx.Err(); ended != nil {
		err, kind = ended, cloud.KindTransient
	}
	if err != nil {
		return "", c.imageError(kind, op, "", err)
	}
	c.images.mu.Lock()
	defer c.images.mu.Unlock()
	c.images.added++
	id := cloud.ImageID(fmt.Sprintf("i%d", c.images.added))
	if c.images.all == nil {
		c.images.all = map[cloud.ImageID]cloud.Image{}
	}
	c.images.all[id] = cloud.Image{ImageSpec: spec, ID: id, Created: time.Now().UTC()}
	return id, nil
}

// RemoveImage removes an image that no machine has.
func (c *Cloud) RemoveImage(ctx context.Context, id cloud.ImageID) error {
	const op = "remove-image"
	if err := c.images.asked(op); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return c.imageError(cloud.KindTransient, op, "", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if m.image == id {
			return c.imageError(cloud.KindInUse, op, fmt.Sprintf("image %s is used by machine %s (%s)", id, m.id, m.token), nil)
		}
	}
	c.images.mu.Lock()
	defer c.images.mu.Unlock()
	delete(c.images.all, id)
	return nil
}

// hasImage refuses to launch from an image that is not there.
func (c *Cloud) hasImage(id cloud.ImageID) error {
	c.images.mu.Lock()
	defer c.images.mu.Unlock()
	if _, ok := c.images.all[id]; !ok && id != "" {
		return c.imageError(cloud.KindNotFound, "launch", "there is no image "+string(id), nil)
	}
	return nil
}

// ImageOf gives the image that the machine of a token was launched from.
func (c *Cloud) ImageOf(token string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if m.token == token {
			return string(m.image)
		}
	}
	return ""
}
