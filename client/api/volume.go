package api

import "time"

// VolumeID names a volume of the installation, for example v12.
type VolumeID string

// Bounds of volumes, in MiB.
const (
	MinVolumeMiB = 16
	MaxVolumeMiB = 16 << 20
)

// VolumeDir is where machines have their volumes, each at its name.
const VolumeDir = "/var/lib/conpaas/volumes"

// VolumeNameForm is the form of a volume's name, a regular expression.
const VolumeNameForm = `[A-Za-z][A-Za-z0-9_-]{0,62}`

// VolumeKind is the volume that every machine of a role has: a row of the catalogue.
type VolumeKind struct {
	Name    string `json:"name" doc:"Of the mount point on the machine"`
	SizeMiB int    `json:"size_mib" doc:"Where the setting volume_size of the service, in MiB, says nothing else"`
}

// VolumeSize is the setting of a service type by which its owner chooses the size of new volumes, in MiB.
const VolumeSize = "volume_size"

// VolumeState is a step of a volume's life.
type VolumeState string

// The life of a volume.
const (
	VolumeWanted    VolumeState = "wanted"    // recorded, nothing asked of the cloud yet
	VolumeCreating  VolumeState = "creating"  // the cloud has been asked for it
	VolumeAvailable VolumeState = "available" // it exists, and no machine has it
	VolumeAttaching VolumeState = "attaching" // the cloud has been asked to give it to a machine
	VolumeAttached  VolumeState = "attached"  // a machine has it
	VolumeDetaching VolumeState = "detaching" // the machine is to let go of it
	VolumeOrphan    VolumeState = "orphan"    // nothing needs it any more; it is kept until the end of its grace
	VolumeDeleting  VolumeState = "deleting"  // the cloud has been asked to remove it
	VolumeGone      VolumeState = "gone"      // it does not exist any more
)

// Volume is a disk that outlives the machines that have it.
type Volume struct {
	ID          VolumeID      `json:"id"`
	Name        string        `json:"name" doc:"Unique among the volumes of its application"`
	Application ApplicationID `json:"application" doc:"0 for an orphan whose application was deleted"`
	Service     ServiceID     `json:"service,omitempty" doc:"Whose machines have it, one after another; 0: it follows none"`
	Role        Role          `json:"role,omitempty" doc:"Of the machines that have it"`
	Automatic   bool          `json:"automatic,omitempty" doc:"It comes and goes with the machines of its role; else a user has made it"`
	Origin      string        `json:"origin,omitempty" doc:"Of an orphan: what it belonged to"`
	Mount       string        `json:"mount" doc:"Where machines have it"`
	Cloud       string        `json:"cloud"`
	SizeMiB     int           `json:"size_mib"`
	State       VolumeState   `json:"state"`
	Reason      string        `json:"reason,omitempty"`
	Node        NodeID        `json:"node,omitempty" doc:"The machine that has it, or is to have it"`
	Since       time.Time     `json:"since"`
	Created     time.Time     `json:"created"`
	Until       *time.Time    `json:"until,omitempty" doc:"Of an orphan: when it is destroyed"`
}

// VolumeCreate is the body of POST /v1/applications/{application}/volumes.
type VolumeCreate struct {
	Name    string `json:"name" doc:"1 to 63 letters, digits, - and _, a letter first"`
	SizeMiB int    `json:"size_mib" doc:"MiB, from 16 to 16777216"`
	Node    NodeID `json:"node,omitempty" doc:"Machine that is to have it at once"`
	Cloud   string `json:"cloud,omitempty" doc:"Of the machines that can have it; default: that of the node or the service, else of the application"`
	VolumeService
}

// VolumeAttach is the body of POST /v1/applications/{application}/volumes/{volume}/attach.
type VolumeAttach struct {
	Node NodeID `json:"node,omitempty" doc:"Machine of the application that is to have it"`
	VolumeService
}

// VolumeService says whose machines are to have a volume, where no machine is named: the oldest one of the role, or the next one while
// there is none.
type VolumeService struct {
	Service string `json:"service,omitempty" doc:"Name or id of a service whose machines are to have it, instead of node"`
	Role    Role   `json:"role,omitempty" doc:"Of those machines; default: the first of the service's type"`
}

// VolumeRestore is the body of POST /v1/volumes/{volume}/restore.
type VolumeRestore struct {
	Application string `json:"application" doc:"Name or id of the application that is to have it"`
	Name        string `json:"name,omitempty" doc:"Its name there; default: the one that it has"`
}

// VolumeMount is a volume as a machine sees it.
type VolumeMount struct {
	ID     VolumeID `json:"id"`
	Name   string   `json:"name" doc:"Of its mount point, by which the programs of a service know it"`
	Device string   `json:"device,omitempty" doc:"What the kernel calls it; empty: the cloud has mounted it"`
	Path   string   `json:"path" doc:"Where it is to be mounted"`
}
