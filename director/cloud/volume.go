package cloud

import (
	"context"
	"path"
	"regexp"
	"time"

	"conpaas/client/api"
)

// VolumeID names a volume in its cloud; its form is the cloud's own.
type VolumeID string

// VolumeSpec is a volume that is wanted.
type VolumeSpec struct {
	Token      string // names the request, is the volume's tag; never used for another volume
	Deployment string // the installation; tag of all its volumes; "" is that of Config
	Name       string // of the mount point on machines, see MountPath
	SizeMiB    int    // a cloud may give more, never less
}

// Volume is what a cloud knows of one volume.
type Volume struct {
	ID      VolumeID
	Token   string    // of the VolumeSpec that it was made by
	SizeMiB int       // that it has
	Machine MachineID // that it is attached to, or may be; "" is none
	Created time.Time // UTC
}

// Volumes is the ability to keep disks that outlive machines.
//
// CreateVolume gives the id of a volume without content; a second call with the same token gives the volume of the first, also after
// a restart of the director, and a call that failed or was cancelled leaves either nothing or a volume that Volumes shows with its
// token. Volumes gives the volumes of this deployment, like Provider.List.
//
// AttachVolume makes a volume part of a machine that runs, and may be repeated. Device is what the machine's kernel calls it, "" where
// the cloud has mounted it at MountPath itself. A volume is never part of two machines: one that is attached to another is
// KindInUse, and an unknown volume or machine KindNotFound. DetachVolume may be repeated, and succeeds for a volume or a
// machine that is unknown or not together; while programs of the machine keep the cloud from it, it is KindInUse. Terminate of a
// machine detaches its volumes, whose content stays. RemoveVolume destroys the content; it may be repeated and succeeds for an
// unknown id, and is KindInUse for a volume that is attached.
type Volumes interface {
	CreateVolume(ctx context.Context, spec VolumeSpec) (VolumeID, error)
	Volumes(ctx context.Context) ([]Volume, error)
	AttachVolume(ctx context.Context, id VolumeID, machine MachineID) (device string, err error)
	DetachVolume(ctx context.Context, id VolumeID, machine MachineID) error
	RemoveVolume(ctx context.Context, id VolumeID) error
}

var volumeName = regexp.MustCompile(`^` + api.VolumeNameForm + `$`)

// Check tells what of a volume that is wanted cannot be, "" where all is well.
func (s VolumeSpec) Check() string {
	switch {
	case !volumeName.MatchString(s.Name):
		return "the name of a volume is 1 to 63 letters, digits, '-' and '_', and begins with a letter"
	case s.SizeMiB < api.MinVolumeMiB || s.SizeMiB > api.MaxVolumeMiB:
		return "the size of a volume is out of bounds"
	}
	return ""
}

// MountPath is where machines have a volume of that name.
func MountPath(name string) string { return path.Join(api.VolumeDir, name) }
