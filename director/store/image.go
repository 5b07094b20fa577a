package store

import (
	"errors"
	"fmt"
	"time"

	"conpaas/client/api"
)

// Image is what is known of an image that was published to a cloud.
type Image struct {
	Cloud        string
	ID           string // the cloud's own
	Name         string
	Format       api.ImageFormat
	Architecture string
	Size         int64  // bytes
	SHA256       string // lower-case hex
	Services     []api.ServiceType
	Version      string // of what made it
	By           string // name of the user who has published it
	Current      bool   // new machines of the cloud start from it
	Created      time.Time
}

type imageRow struct {
	Cloud        string `gorm:"primaryKey"`
	ID           string `gorm:"primaryKey"`
	Name         string
	Format       string
	Architecture string
	Size         int64
	SHA256       string            `gorm:"column:sha256"`
	Services     []api.ServiceType `gorm:"serializer:json"`
	Version      string
	Created      time.Time
	PublishedBy  string
	Current      bool
}

func (imageRow) TableName() string { return "images" }

func (r imageRow) image() Image {
	return Image{
		Cloud: r.Cloud, ID: r.ID, Name: r.Name, Format: api.ImageFormat(r.Format), Architecture: r.Architecture, Size: r.Size, SHA256: r.SHA256,
		Services: r.Services, Version: r.Version, By: r.PublishedBy, Current: r.Current, Created: r.Created.UTC(),
	}
}

// Images gives the images of a cloud, the oldest first.
func (r *Read) Images(cloud string) ([]Image, error) {
	var rows []imageRow
	err := r.db.Where("cloud = ?", cloud).Order("created, id").Find(&rows).Error
	return convert(rows, imageRow.image), rowError(err, "images of cloud %q", cloud)
}

// CurrentImage gives the image that new machines of a cloud start from, a zero one where none was chosen.
func (r *Read) CurrentImage(cloud string) (Image, error) {
	var rows []imageRow
	if err := r.db.Limit(1).Find(&rows, "cloud = ? AND current", cloud).Error; err != nil || len(rows) == 0 {
		return Image{}, rowError(err, "current image of cloud %q", cloud)
	}
	return rows[0].image(), nil
}

// AddImage records an image that a cloud has taken; Created is set, and Current is not. ErrExists when it is known already.
func (tx *Tx) AddImage(i Image) (Image, error) {
	row := imageRow{
		Cloud: i.Cloud, ID: i.ID, Name: i.Name, Format: string(i.Format), Architecture: i.Architecture, Size: i.Size, SHA256: i.SHA256,
		Services: i.Services, Version: i.Version, Created: tx.now, PublishedBy: i.By,
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return Image{}, rowError(err, "image %q of cloud %q", i.ID, i.Cloud)
	}
	tx.changed("image", "", row.label())
	return row.image(), nil
}

// label is how the audit log names an image.
func (r imageRow) label() string { return fmt.Sprintf("%s (%s)", r.ID, r.Name) }

// UseImage makes an image the one that new machines of its cloud start from; id "" makes none of them that. ErrNotFound when it
// is not known.
func (tx *Tx) UseImage(cloud, id string) error {
	before, err := tx.CurrentImage(cloud)
	if err != nil {
		return err
	}
	err = tx.db.Model(&imageRow{}).Where("cloud = ? AND current", cloud).Update("current", false).Error
	if err != nil {
		return rowError(err, "current image of cloud %q", cloud)
	}
	tx.changed("current image", before.ID, id)
	if id == "" {
		return nil
	}
	result := tx.db.Model(&imageRow{}).Where("cloud = ? AND id = ?", cloud, id).Update("current", true)
	return one(result, "image %q of cloud %q", id, cloud)
}

// DeleteImage forgets an image. One that is not known is no error; ErrConflict while new machines start from it.
func (tx *Tx) DeleteImage(cloud, id string) error {
	var row imageRow
	err := rowError(tx.db.First(&row, "cloud = ? AND id = ?", cloud, id).Error, "image %q of cloud %q", id, cloud)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case row.Current:
		return fmt.Errorf("image %q is what new machines of cloud %q start from: %w", id, cloud, ErrConflict)
	}
	if err := tx.db.Delete(&row).Error; err != nil {
		return rowError(err, "delete image %q of cloud %q", id, cloud)
	}
	tx.changed("image", row.label(), "")
	return nil
}
