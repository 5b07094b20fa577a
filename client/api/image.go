package api

import "time"

// ImageFormat is the form in which an image is delivered to a cloud.
type ImageFormat string

// The formats that clouds take. Which of them a cloud takes, it says when another one is sent.
const (
	ImageRootFS ImageFormat = "rootfs" // tar archive of a root file system, plain or gzip
	ImageRaw    ImageFormat = "raw"    // whole disk
	ImageQCOW2  ImageFormat = "qcow2"  // whole disk of QEMU
)

// ImageState tells whether the cloud and the director know the same of an image.
type ImageState string

// The states of an image.
const (
	ImageAvailable ImageState = "available" // machines can start from it
	ImageUnknown   ImageState = "unknown"   // the cloud has it, the director does not know what is in it
	ImageMissing   ImageState = "missing"   // the director knows it, the cloud does not have it any more
)

// Image is an image that machines of a cloud can start from.
type Image struct {
	ID           string        `json:"id" doc:"As the cloud names it"`
	Cloud        string        `json:"cloud"`
	Name         string        `json:"name" doc:"For people"`
	Format       ImageFormat   `json:"format" doc:"For example rootfs, raw, qcow2"`
	Architecture string        `json:"architecture" doc:"As Debian names it, for example amd64"`
	Size         int64         `json:"size" doc:"Bytes"`
	SHA256       string        `json:"sha256"`
	Services     []ServiceType `json:"services" doc:"Service types whose packages it holds; empty: not told"`
	Version      string        `json:"version,omitempty" doc:"Of what made it"`
	Created      time.Time     `json:"created" doc:"When it came to the cloud"`
	By           string        `json:"by,omitempty" doc:"User who has published it"`
	Current      bool          `json:"current" doc:"New machines of the cloud start from it"`
	State        ImageState    `json:"state" doc:"available; unknown: the director does not know what is in it; missing: the cloud does not have it any more"`
}

// ImageUse says from which image new machines of a cloud start.
type ImageUse struct {
	Image string `json:"image" doc:"Id; empty: what the settings of the cloud say"`
}

// MaxImage is how many bytes an image may have.
const MaxImage = 64 << 30
