package directortest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/director/cloud"
)

// volumes are those of a cloud in memory, without their content.
type volumes struct {
	mu   sync.Mutex
	all  map[cloud.VolumeID]cloud.Volume
	made int
	// refuse, where it is set, may refuse an operation.
	refuse func(op string) error
	broken []string // rules that were broken
}

// RefuseVolumes sets who decides about volumes: it is asked before create-volume, attach-volume, detach-volume and remove-volume; nil refuses
// none.
func (c *Cloud) RefuseVolumes(f func(op string) error) {
	c.volumes.mu.Lock()
	defer c.volumes.mu.Unlock()
	c.volumes.refuse = f
}

// Broken gives the rules about volumes that callers have broken: a volume that was taken from a machine that runs and was not let go of.
func (c *Cloud) Broken() []string {
	c.volumes.mu.Lock()
	defer c.volumes.mu.Unlock()
	return slices.Clone(c.volumes.broken)
}

// tells gives the node of a machine of which its manager says that it has a volume.
func (c *Cloud) tells(id cloud.MachineID, volume cloud.VolumeID) api.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.machines[id]
	if !ok || c.mute[m.node] {
		return ""
	}
	for _, spec := range c.specs {
		for _, n := range spec.Nodes {
			if n.ID == m.node && slices.ContainsFunc(n.Volumes, func(v api.VolumeMount) bool { return v.Device == "/dev/"+string(volume) }) {
				return n.ID
			}
		}
	}
	return ""
}

// part takes the volumes from a machine that has ended.
func (v *volumes) part(from cloud.MachineID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, one := range v.all {
		if one.Machine == from {
			one.Machine = ""
			v.all[id] = one
		}
	}
}

// begin locks the volumes for a call, unless it is refused.
func (c *Cloud) begin(ctx context.Context, op string) error {
	c.volumes.mu.Lock()
	refuse := c.volumes.refuse
	c.volumes.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return c.imageError(cloud.KindTransient, op, "", err)
	}
	if refuse != nil {
		if err := refuse(op); err != nil {
			return err
		}
	}
	c.volumes.mu.Lock()
	return nil
}

// Volumes gives the volumes, the oldest first.
func (c *Cloud) Volumes(ctx context.Context) ([]cloud.Volume, error) {
	if err := c.begin(ctx, "volumes"); err != nil {
		return nil, err
	}
	defer c.volumes.mu.Unlock()
	list := []cloud.Volume{}
	for _, v := range c.volumes.all {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b cloud.Volume) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// CreateVolume makes a volume, or gives the one that has the token.
func (c *Cloud) CreateVolume(ctx context.Context, spec cloud.VolumeSpec) (cloud.VolumeID, error) {
	const op = "create-volume"
	if text := spec.Check(); text != "" || spec.Token == "" || spec.Deployment != "" {
		return "", c.imageError(cloud.KindPermanent, op, "a volume without token, or of another deployment: "+text, nil)
	}
	if err := c.begin(ctx, op); err != nil {
		return "", err
	}
	defer c.volumes.mu.Unlock()
	for id, v := range c.volumes.all {
		if v.Token == spec.Token {
			return id, nil
		}
	}
	if c.volumes.all == nil {
		c.volumes.all = map[cloud.VolumeID]cloud.Volume{}
	}
	c.volumes.made++
	id := cloud.VolumeID(fmt.Sprintf("vol%d", c.volumes.made))
	c.volumes.all[id] = cloud.Volume{ID: id, Token: spec.Token, SizeMiB: spec.SizeMiB, Created: time.Now().UTC()}
	return id, nil
}

// AttachVolume notes the machine of a volume.
func (c *Cloud) AttachVolume(ctx context.Context, id cloud.VolumeID, to cloud.MachineID) (string, error) {
	const op = "attach-volume"
	if _, err := c.Describe(ctx, to); err != nil {
		return "", c.imageError(cloud.KindNotFound, op, "there is no machine "+string(to), nil)
	}
	if err := c.begin(ctx, op); err != nil {
		return "", err
	}
	defer c.volumes.mu.Unlock()
	v, ok := c.volumes.all[id]
	switch {
	case !ok:
		return "", c.imageError(cloud.KindNotFound, op, "there is no volume "+string(id), nil)
	case v.Machine != "" && v.Machine != to:
		return "", c.imageError(cloud.KindInUse, op, fmt.Sprintf("volume %s is attached to machine %s", id, v.Machine), nil)
	}
	v.Machine = to
	c.volumes.all[id] = v
	return "/dev/" + string(id), nil
}

// DetachVolume takes a volume from a machine.
func (c *Cloud) DetachVolume(ctx context.Context, id cloud.VolumeID, from cloud.MachineID) error {
	node := c.tells(from, id)
	if err := c.begin(ctx, "detach-volume"); err != nil {
		return err
	}
	defer c.volumes.mu.Unlock()
	v, ok := c.volumes.all[id]
	if !ok || v.Machine != from {
		return nil
	}
	if node != "" {
		c.volumes.broken = append(c.volumes.broken, fmt.Sprintf("volume %s was taken from node %s, whose spec still has it", id, node))
	}
	v.Machine = ""
	c.volumes.all[id] = v
	return nil
}

// RemoveVolume removes a volume that no machine has.
func (c *Cloud) RemoveVolume(ctx context.Context, id cloud.VolumeID) error {
	const op = "remove-volume"
	if err := c.begin(ctx, op); err != nil {
		return err
	}
	defer c.volumes.mu.Unlock()
	if v := c.volumes.all[id]; v.Machine != "" {
		return c.imageError(cloud.KindInUse, op, fmt.Sprintf("volume %s is attached to machine %s", id, v.Machine), nil)
	}
	delete(c.volumes.all, id)
	return nil
}
