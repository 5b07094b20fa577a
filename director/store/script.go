package store

import (
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm/clause"

	"conpaas/client/api"
)

// Script is what runs once on every new machine of a service, before its roles.
type Script struct {
	Text    api.Secret
	Limit   time.Duration // how long it may run, in whole seconds
	Changed time.Time
}

type scriptRow struct {
	ApplicationID int64 `gorm:"primaryKey;autoIncrement:false"`
	ServiceID     int64 `gorm:"primaryKey;autoIncrement:false"`
	Sealed        []byte
	Seconds       int64
	Changed       time.Time
}

func (scriptRow) TableName() string { return "service_scripts" }

// place ties a sealed script to its service.
func (r scriptRow) place() string { return fmt.Sprintf("script/%d/%d", r.ApplicationID, r.ServiceID) }

// Scripts gives those of the services of an application that have one.
func (r *Read) Scripts(application api.ApplicationID) (map[api.ServiceID]Script, error) {
	var rows []scriptRow
	if err := r.db.Where("application_id = ?", int64(application)).Find(&rows).Error; err != nil {
		return nil, rowError(err, "scripts of application %s", application)
	}
	all := make(map[api.ServiceID]Script, len(rows))
	for _, row := range rows {
		text, err := r.box.open(row.place(), row.Sealed)
		if err != nil {
			return nil, err
		}
		all[api.ServiceID(row.ServiceID)] = Script{Text: api.Secret(text), Limit: time.Duration(row.Seconds) * time.Second, Changed: row.Changed.UTC()}
	}
	return all, nil
}

// SetScript gives a service a script in place of the one that it has.
func (tx *Tx) SetScript(application api.ApplicationID, service api.ServiceID, s Script) error {
	row := scriptRow{ApplicationID: int64(application), ServiceID: int64(service), Seconds: int64(s.Limit / time.Second), Changed: tx.now}
	row.Sealed = tx.box.seal(row.place(), []byte(s.Text.Reveal()))
	if err := tx.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return rowError(err, "script of service %s", service)
	}
	tx.changed("script", "", masked)
	tx.changed("time of the script", "", strconv.FormatInt(row.Seconds, 10)+" s")
	return tx.touchService(application, service)
}

// RemoveScript forgets the script of a service. ErrNotFound when it has none.
func (tx *Tx) RemoveScript(application api.ApplicationID, service api.ServiceID) error {
	row := scriptRow{ApplicationID: int64(application), ServiceID: int64(service)}
	if err := one(tx.db.Delete(&row), "script of service %s", service); err != nil {
		return err
	}
	tx.changed("script", masked, "")
	return tx.touchService(application, service)
}
