package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"conpaas/client/api"
)

// Volume is a disk that outlives machines.
type Volume struct {
	ID          api.VolumeID // "v" + number, never reused
	Owner       api.UserID
	Application api.ApplicationID // 0 for an orphan whose application is gone
	Service     api.ServiceID     // whose machines of Role have it, one after another; 0: none has
	Role        api.Role
	Automatic   bool   // every machine of the role has one; else a user has made it
	Name        string // unique among those of the application that are no orphans
	Mount       string // name of the mount point
	Cloud       string
	SizeMiB     int
	Token       string // names the request at the cloud
	Volume      string // the cloud's id; once known it is never forgotten
	State       api.VolumeState
	Reason      string
	Since       time.Time
	Node        api.NodeID // that is to have it
	Holder      api.NodeID // that has it, or may have it
	Machine     string     // of Holder
	Device      string
	After       int64 // only nodes with a larger number are successors of the last one
	Origin      string
	Until       time.Time // of an orphan: when it is destroyed
	Created     time.Time
}

type volumeRow struct {
	Seq            int64 `gorm:"primaryKey;autoIncrement"`
	OwnerID        int64
	ApplicationID  int64
	ServiceID      int64
	Role           string
	Automatic      bool
	Name           string
	Mount          string
	Cloud          string
	SizeMiB        int `gorm:"column:size_mib"`
	Token          string
	Volume         string
	State          string
	Reason         string
	Since          time.Time
	Node           string
	Holder         string
	Machine        string
	Device         string
	SuccessorAfter int64
	Origin         string
	Until          *time.Time
	Created        time.Time
}

func (volumeRow) TableName() string { return "volumes" }

func (r volumeRow) id() api.VolumeID { return api.VolumeID("v" + strconv.FormatInt(r.Seq, 10)) }

func (r volumeRow) volume() Volume {
	return Volume{
		ID: r.id(), Owner: api.UserID(r.OwnerID), Application: api.ApplicationID(r.ApplicationID), Service: api.ServiceID(r.ServiceID),
		Role: api.Role(r.Role), Automatic: r.Automatic, Name: r.Name, Mount: r.Mount, Cloud: r.Cloud, SizeMiB: r.SizeMiB, Token: r.Token,
		Volume: r.Volume, State: api.VolumeState(r.State), Reason: r.Reason, Since: r.Since.UTC(), Node: api.NodeID(r.Node),
		Holder: api.NodeID(r.Holder), Machine: r.Machine, Device: r.Device, After: r.SuccessorAfter, Origin: r.Origin,
		Until: utc(r.Until), Created: r.Created.UTC(),
	}
}

// belongs is the condition on volumes of an application that are no orphans and not on their way out.
const belongs = "state NOT IN ('orphan', 'deleting', 'gone')"

// Volume gives a volume by id whoever owns it, or ErrNotFound. Gone ones are found until they are pruned.
func (r *Read) Volume(id api.VolumeID) (Volume, error) {
	row, err := r.volumeRow(id)
	return row.volume(), err
}

func (r *Read) volumeRow(id api.VolumeID) (volumeRow, error) {
	seq, err := sequence(string(id), "v")
	if err != nil {
		return volumeRow{}, fmt.Errorf("volume %w", err)
	}
	var row volumeRow
	err = r.db.First(&row, seq).Error
	return row, rowError(err, "volume %s", id)
}

// VolumeByToken gives the volume of a token, gone or not, or ErrNotFound.
func (r *Read) VolumeByToken(token string) (Volume, error) {
	var row volumeRow
	err := r.db.First(&row, "token = ?", token).Error
	return row.volume(), rowError(err, "volume of token %q", token)
}

// FindVolume gives a volume of an application that is no orphan, by id or name, or ErrNotFound.
func (r *Read) FindVolume(application api.ApplicationID, ref string) (Volume, error) {
	query := r.db.Where("application_id = ? AND "+belongs, int64(application))
	if seq, err := sequence(ref, "v"); err == nil {
		query = query.Where("seq = ?", seq)
	} else {
		query = query.Where("name = ?", ref)
	}
	var row volumeRow
	err := query.First(&row).Error
	return row.volume(), rowError(err, "volume %q", ref)
}

// FindOrphan gives an orphan of a user by id, or ErrNotFound.
func (r *Read) FindOrphan(owner api.UserID, ref string) (Volume, error) {
	row, err := r.volumeRow(api.VolumeID(ref))
	if err != nil || row.OwnerID != int64(owner) || row.State != string(api.VolumeOrphan) {
		return Volume{}, fmt.Errorf("orphan %q: %w", ref, errors.Join(err, ErrNotFound))
	}
	return row.volume(), nil
}

// HeldVolumes gives the volumes of an application that its worker cares for, the oldest first: all but orphans and gone ones.
func (r *Read) HeldVolumes(application api.ApplicationID) ([]Volume, error) {
	return r.volumes("application_id = ? AND state NOT IN ('orphan', 'gone')", int64(application))
}

// LeftVolumes gives the volumes of a cloud that no application's worker cares for: orphans whose time is over, and what is to be
// destroyed of applications that are gone.
func (r *Read) LeftVolumes(cloud string) ([]Volume, error) {
	return r.volumes("cloud = ? AND (state = 'orphan' AND until <= ? OR state = 'deleting' AND application_id = 0)", cloud, r.now)
}

func (r *Read) volumes(where string, args ...any) ([]Volume, error) {
	var rows []volumeRow
	err := r.db.Where(where, args...).Order("seq").Find(&rows).Error
	return convert(rows, volumeRow.volume), rowError(err, "volumes")
}

// VolumePage gives a page of the volumes of an application that are no orphans, by number, and where the next one begins.
func (r *Read) VolumePage(application api.ApplicationID, p Page) ([]Volume, int64, error) {
	query := r.db.Where("application_id = ? AND state NOT IN ('orphan', 'gone')", int64(application))
	rows, next, err := list(query, "seq", p, func(r volumeRow) int64 { return r.Seq })
	return convert(rows, volumeRow.volume), next, err
}

// OrphanPage gives a page of a user's orphans by number, with those of nobody where they are asked for, and where the next one begins.
func (r *Read) OrphanPage(owner api.UserID, nobodys bool, p Page) ([]Volume, int64, error) {
	query := r.db.Where("(owner_id = ? OR ? AND owner_id = 0) AND state = 'orphan'", int64(owner), nobodys)
	rows, next, err := list(query, "seq", p, func(r volumeRow) int64 { return r.Seq })
	return convert(rows, volumeRow.volume), next, err
}

// NewVolume is what CreateVolume needs to know.
type NewVolume struct {
	Application api.ApplicationID
	Service     api.ServiceID
	Role        api.Role
	Automatic   bool   // it gets a name of its own
	Name        string // of one that is not automatic, and of its mount point
	Mount       string // of an automatic one
	Cloud       string
	SizeMiB     int
	Node        api.NodeID // that is to have it; "": none
}

// MaxVolumes bounds the volumes of an application that are no orphans, beside those that come with machines.
const MaxVolumes = 256

// CreateVolume adds a volume in state wanted. ErrExists when its name is taken, ErrQuota when the application has too many,
// ErrConflict when it is being deleted.
func (tx *Tx) CreateVolume(n NewVolume) (Volume, error) {
	application, err := tx.applicationRow(n.Application)
	if err != nil {
		return Volume{}, err
	}
	if application.Wanted == string(ApplicationDeleted) {
		return Volume{}, fmt.Errorf("application %s is being deleted: %w", n.Application, ErrConflict)
	}
	if !n.Automatic {
		n.Mount = n.Name
		if err := tx.roomForVolume(application, n.Name); err != nil {
			return Volume{}, err
		}
	}
	token := rand.Text()[:16]
	if n.Automatic {
		n.Name = token // until its number is known
	}
	row := volumeRow{
		OwnerID: application.OwnerID, ApplicationID: application.ID, ServiceID: int64(n.Service), Role: string(n.Role), Automatic: n.Automatic,
		Name: n.Name, Mount: n.Mount, Cloud: n.Cloud, SizeMiB: n.SizeMiB, Token: token, State: string(api.VolumeWanted),
		Since: tx.now, Node: string(n.Node), Created: tx.now,
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return Volume{}, rowError(err, "volume %q in application %q", n.Name, application.Name)
	}
	// The number is for people; the rest of the token makes sure that an older database, put back, is not given another's data.
	row.Token = string(row.id()) + "-" + token
	if n.Automatic {
		row.Name = n.Mount + "-" + string(row.id())
	}
	if err := tx.saveVolume(&row); err != nil {
		return Volume{}, err
	}
	tx.changed("volume", "", row.label())
	return row.volume(), tx.volumeEvent(row)
}

// roomForVolume refuses a name that is taken, and more volumes than an application may have.
func (tx *Tx) roomForVolume(application applicationRow, name string) error {
	if err := tx.freeVolumeName(application.ID, name); err != nil {
		return err
	}
	var count int64
	err := tx.db.Model(&volumeRow{}).Where("application_id = ? AND NOT automatic AND "+belongs, application.ID).Count(&count).Error
	if err != nil {
		return rowError(err, "count volumes")
	}
	if count >= MaxVolumes {
		return fmt.Errorf("application %q has %d volumes, as many as one may have: %w", application.Name, count, ErrQuota)
	}
	return nil
}

func (tx *Tx) freeVolumeName(application int64, name string) error {
	var alike []string
	err := tx.db.Model(&volumeRow{}).Where("application_id = ? AND lower(name) = lower(?) AND "+belongs, application, name).Pluck("name", &alike).Error
	switch {
	case err != nil:
		return rowError(err, "names like %q", name)
	case len(alike) == 0:
		return nil
	case alike[0] == name:
		return fmt.Errorf("volume %q: %w", name, ErrExists)
	}
	return fmt.Errorf("volume %q: %w", name, ErrAlike)
}

// label is how the audit log names a volume.
func (r volumeRow) label() string { return fmt.Sprintf("%s (%s), %d MiB", r.id(), r.Name, r.SizeMiB) }

func (tx *Tx) saveVolume(row *volumeRow) error {
	return rowError(tx.db.Save(row).Error, "volume %s (%s)", row.id(), row.Name)
}

func (tx *Tx) volumeEvent(row volumeRow) error {
	_, err := tx.AddEvent(Event{
		Owner: api.UserID(row.OwnerID), Application: api.ApplicationID(row.ApplicationID), Service: api.ServiceID(row.ServiceID),
		Node: api.NodeID(row.Holder), Kind: "volume." + row.State, Text: withReason(fmt.Sprintf("volume %s (%s) is %s", row.id(), row.Name, row.State), row.Reason),
	})
	return err
}
