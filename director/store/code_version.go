package store

import (
	"fmt"
	"strings"
	"time"

	"conpaas/client/api"
)

// CodeVersion is one version of the code of a service.
type CodeVersion struct {
	Application api.ApplicationID
	Service     api.ServiceID
	ID          string // unique in the service
	Description string
	Filename    string // as uploaded
	Format      string
	Size        int64  // bytes of the archive
	SHA256      string // of the archive, lower-case hex; "" for a version that has none
	Reason      string // why it was refused when it was last to be enabled; "" otherwise
	Created     time.Time
}

type codeVersionRow struct {
	ApplicationID int64  `gorm:"primaryKey;autoIncrement:false"`
	ServiceID     int64  `gorm:"primaryKey;autoIncrement:false"`
	ID            string `gorm:"primaryKey"`
	Description   string
	Filename      string
	Format        string
	Size          int64
	SHA256        string `gorm:"column:sha256"`
	Reason        string
	Created       time.Time
}

func (codeVersionRow) TableName() string { return "code_versions" }

func (r codeVersionRow) version() CodeVersion {
	return CodeVersion{
		Application: api.ApplicationID(r.ApplicationID), Service: api.ServiceID(r.ServiceID), ID: r.ID, Description: r.Description,
		Filename: r.Filename, Format: r.Format, Size: r.Size, SHA256: r.SHA256, Reason: r.Reason, Created: r.Created.UTC(),
	}
}

// CodeVersion gives one version of a service's code, or ErrNotFound.
func (r *Read) CodeVersion(application api.ApplicationID, service api.ServiceID, id string) (CodeVersion, error) {
	row, err := r.codeVersionRow(application, service, id)
	return row.version(), err
}

func (r *Read) codeVersionRow(application api.ApplicationID, service api.ServiceID, id string) (codeVersionRow, error) {
	var row codeVersionRow
	err := r.db.First(&row, "application_id = ? AND service_id = ? AND id = ?", int64(application), int64(service), id).Error
	return row, rowError(err, "code version %q", id)
}

// ServiceCode gives the versions of the code of a service, the oldest first. Service 0 means those of all services
// of the application.
func (r *Read) ServiceCode(application api.ApplicationID, service api.ServiceID) ([]CodeVersion, error) {
	query := r.db.Where("application_id = ?", int64(application))
	if service != 0 {
		query = query.Where("service_id = ?", int64(service))
	}
	var rows []codeVersionRow
	err := query.Order("created, rowid").Find(&rows).Error
	return convert(rows, codeVersionRow.version), rowError(err, "code versions of service %s of application %s", service, application)
}

// numberedCodeRow is a row with the number that SQLite gives it, which grows.
type numberedCodeRow struct {
	Number int64          `gorm:"column:number;->"`
	Row    codeVersionRow `gorm:"embedded"`
}

func (numberedCodeRow) TableName() string { return codeVersionRow{}.TableName() }

func (r numberedCodeRow) version() CodeVersion { return r.Row.version() }

// CodePage gives a page of the versions of the code of a service, the oldest first, and where the next one begins (0: nowhere).
func (r *Read) CodePage(application api.ApplicationID, service api.ServiceID, p Page) ([]CodeVersion, int64, error) {
	query := r.db.Select("rowid AS number, *").Where("application_id = ? AND service_id = ?", int64(application), int64(service))
	rows, next, err := list(query, "rowid", p, func(r numberedCodeRow) int64 { return r.Number })
	return convert(rows, numberedCodeRow.version), next, err
}

// Blobs gives the SHA-256 of every archive that a version of any service names.
func (r *Read) Blobs() (map[string]bool, error) {
	var sums []string
	if err := r.db.Model(&codeVersionRow{}).Where("sha256 <> ''").Distinct().Pluck("sha256", &sums).Error; err != nil {
		return nil, rowError(err, "archives of code versions")
	}
	named := make(map[string]bool, len(sums))
	for _, sum := range sums {
		named[sum] = true
	}
	return named, nil
}

// AddCodeVersion adds a version to a service; Created is set. ErrExists when the id is taken, ErrNotFound when there is no
// such service.
func (tx *Tx) AddCodeVersion(v CodeVersion) (CodeVersion, error) {
	row := codeVersionRow{
		ApplicationID: int64(v.Application), ServiceID: int64(v.Service), ID: v.ID, Description: v.Description, Filename: v.Filename,
		Format: v.Format, Size: v.Size, SHA256: v.SHA256, Reason: v.Reason, Created: tx.now,
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return CodeVersion{}, rowError(err, "code version %q", v.ID)
	}
	tx.changed("code version", "", strings.TrimSpace(row.ID+" "+row.Filename))
	return row.version(), tx.codeEvent(row, "code.added", fmt.Sprintf("code version %q is added", v.ID), false)
}

// DeleteCodeVersion forgets a version. ErrConflict while it serves, or is to serve.
func (tx *Tx) DeleteCodeVersion(application api.ApplicationID, service api.ServiceID, id string) error {
	row, err := tx.codeVersionRow(application, service, id)
	if err != nil {
		return err
	}
	s, err := tx.serviceRow(application, service)
	if err != nil {
		return err
	}
	if id == s.CodeServing || id == s.CodeWanted {
		return fmt.Errorf("code version %q is enabled: %w", id, ErrConflict)
	}
	if err := tx.db.Delete(&row).Error; err != nil {
		return rowError(err, "delete code version %q", id)
	}
	tx.changed("code version", strings.TrimSpace(row.ID+" "+row.Filename), "")
	return tx.codeEvent(row, "code.deleted", fmt.Sprintf("code version %q is deleted", id), false)
}

// SetCodeWanted says which version of its code a service is to serve. ErrNotFound when the service has no such version.
// Its Reason is cleared, since it is tried anew.
func (tx *Tx) SetCodeWanted(application api.ApplicationID, service api.ServiceID, id string) (Service, error) {
	row, err := tx.codeVersionRow(application, service, id)
	if err != nil {
		return Service{}, err
	}
	if row.Reason != "" {
		row.Reason = ""
		if err := tx.db.Save(&row).Error; err != nil {
			return Service{}, rowError(err, "code version %q", id)
		}
	}
	return tx.changeService(application, service, func(row *serviceRow) {
		tx.changed("code", row.CodeWanted, id)
		row.CodeWanted = id
	})
}

// CodeServes records that the wanted version serves. ErrConflict when another one is wanted by now.
func (tx *Tx) CodeServes(application api.ApplicationID, service api.ServiceID, id string) (Service, error) {
	row, err := tx.wantedVersion(application, service, id)
	if err != nil {
		return Service{}, err
	}
	s, err := tx.changeService(application, service, func(row *serviceRow) { row.CodeServing = id })
	if err != nil {
		return Service{}, err
	}
	return s, tx.codeEvent(row, "code.serves", fmt.Sprintf("service %q serves code version %q", s.Name, id), false)
}

// RefuseCode records why the wanted version is not served; the one that serves is wanted again. ErrConflict when another one
// is wanted by now, or it serves already.
func (tx *Tx) RefuseCode(application api.ApplicationID, service api.ServiceID, id, reason string) (Service, error) {
	row, err := tx.wantedVersion(application, service, id)
	if err != nil {
		return Service{}, err
	}
	row.Reason = reason
	if err := tx.db.Save(&row).Error; err != nil {
		return Service{}, rowError(err, "code version %q", id)
	}
	s, err := tx.changeService(application, service, func(row *serviceRow) { row.CodeWanted = row.CodeServing })
	if err != nil {
		return Service{}, err
	}
	return s, tx.codeEvent(row, "code.refused", fmt.Sprintf("code version %q of service %q is refused: %s", id, s.Name, reason), true)
}

// wantedVersion gives the version of that id, which must be wanted and not serving.
func (tx *Tx) wantedVersion(application api.ApplicationID, service api.ServiceID, id string) (codeVersionRow, error) {
	s, err := tx.serviceRow(application, service)
	if err != nil {
		return codeVersionRow{}, err
	}
	if s.CodeWanted != id || s.CodeServing == id {
		return codeVersionRow{}, fmt.Errorf("code version %q is not on its way: %w", id, ErrConflict)
	}
	return tx.codeVersionRow(application, service, id)
}

func (tx *Tx) codeEvent(row codeVersionRow, kind, text string, alarm bool) error {
	_, err := tx.AddEvent(Event{
		Application: api.ApplicationID(row.ApplicationID), Service: api.ServiceID(row.ServiceID), Kind: kind, Text: text, Alarm: alarm,
	})
	return err
}
