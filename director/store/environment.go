package store

import (
	"fmt"

	"gorm.io/gorm/clause"

	"conpaas/client/api"
)

// Environment is what the owner of a service gives to its programs.
type Environment struct {
	Variables map[string]string
	Secrets   map[string]api.Secret // a name is in one of both
	Links     []api.ServiceID       // in the order in which they were made
}

// variableRow is a variable, or where Sealed is not nil a secret. Both share their names.
type variableRow struct {
	ApplicationID int64  `gorm:"primaryKey;autoIncrement:false"`
	ServiceID     int64  `gorm:"primaryKey;autoIncrement:false"`
	Name          string `gorm:"primaryKey"`
	Value         string
	Sealed        []byte
}

func (variableRow) TableName() string { return "service_variables" }

// place ties a sealed value to its service.
func (r variableRow) place() string {
	return fmt.Sprintf("variable/%d/%d/%s", r.ApplicationID, r.ServiceID, r.Name)
}

type linkRow struct {
	ID            int64 `gorm:"primaryKey;autoIncrement"`
	ApplicationID int64
	ServiceID     int64
	TargetID      int64
}

func (linkRow) TableName() string { return "service_links" }

// Environments gives those of the services of an application that have one, secrets in clear.
func (r *Read) Environments(application api.ApplicationID) (map[api.ServiceID]*Environment, error) {
	all := make(map[api.ServiceID]*Environment)
	of := func(id int64) *Environment {
		e := all[api.ServiceID(id)]
		if e == nil {
			e = &Environment{Variables: make(map[string]string), Secrets: make(map[string]api.Secret)}
			all[api.ServiceID(id)] = e
		}
		return e
	}
	var variables []variableRow
	if err := r.db.Where("application_id = ?", int64(application)).Find(&variables).Error; err != nil {
		return nil, rowError(err, "variables of application %s", application)
	}
	for _, row := range variables {
		if row.Sealed == nil {
			of(row.ServiceID).Variables[row.Name] = row.Value
			continue
		}
		text, err := r.box.open(row.place(), row.Sealed)
		if err != nil {
			return nil, err
		}
		of(row.ServiceID).Secrets[row.Name] = api.Secret(text)
	}
	var links []linkRow
	if err := r.db.Where("application_id = ?", int64(application)).Order("id").Find(&links).Error; err != nil {
		return nil, rowError(err, "links of application %s", application)
	}
	for _, row := range links {
		e := of(row.ServiceID)
		e.Links = append(e.Links, api.ServiceID(row.TargetID))
	}
	return all, nil
}

// SetVariable gives a service a variable in place of one, or a secret, of that name.
func (tx *Tx) SetVariable(application api.ApplicationID, service api.ServiceID, name, value string) error {
	return tx.putVariable(variableRow{ApplicationID: int64(application), ServiceID: int64(service), Name: name, Value: value}, value)
}

// SetVariableSecret is SetVariable for a secret, which is encrypted by the key file.
func (tx *Tx) SetVariableSecret(application api.ApplicationID, service api.ServiceID, name string, value api.Secret) error {
	row := variableRow{ApplicationID: int64(application), ServiceID: int64(service), Name: name}
	row.Sealed = tx.box.seal(row.place(), []byte(value.Reveal()))
	return tx.putVariable(row, masked)
}

func (tx *Tx) putVariable(row variableRow, shown string) error {
	old, err := tx.variable(row)
	if err != nil {
		return err
	}
	tx.changed("variable "+row.Name, old.shown(), shown)
	err = tx.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
	if err != nil {
		return rowError(err, "variable %s of service %d", row.Name, row.ServiceID)
	}
	return tx.touchService(api.ApplicationID(row.ApplicationID), api.ServiceID(row.ServiceID))
}

// variable gives the one that is there now; an empty row for none.
func (tx *Tx) variable(like variableRow) (variableRow, error) {
	var rows []variableRow
	err := tx.db.Where("application_id = ? AND service_id = ? AND name = ?", like.ApplicationID, like.ServiceID, like.Name).Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return variableRow{}, rowError(err, "variable %s of service %d", like.Name, like.ServiceID)
	}
	return rows[0], nil
}

func (r variableRow) shown() string {
	if r.Sealed != nil {
		return masked
	}
	return r.Value
}

// UnsetVariable forgets a variable or a secret. ErrNotFound when there is none of that name.
func (tx *Tx) UnsetVariable(application api.ApplicationID, service api.ServiceID, name string) error {
	row := variableRow{ApplicationID: int64(application), ServiceID: int64(service), Name: name}
	old, err := tx.variable(row)
	if err != nil {
		return err
	}
	if err := one(tx.db.Delete(&row), "variable %s", name); err != nil {
		return err
	}
	tx.changed("variable "+name, old.shown(), "")
	return tx.touchService(application, service)
}

// LinkService links a service with another of its application. ErrExists when it is linked with that already.
func (tx *Tx) LinkService(application api.ApplicationID, service, target api.ServiceID) error {
	row := linkRow{ApplicationID: int64(application), ServiceID: int64(service), TargetID: int64(target)}
	if err := tx.db.Create(&row).Error; err != nil {
		return rowError(err, "link of service %s with %s", service, target)
	}
	tx.changed("link", "", target.String())
	return tx.touchService(application, service)
}

// UnlinkService takes a link back. ErrNotFound when there is none.
func (tx *Tx) UnlinkService(application api.ApplicationID, service, target api.ServiceID) error {
	err := one(tx.db.Where("application_id = ? AND service_id = ? AND target_id = ?", int64(application), int64(service), int64(target)).Delete(&linkRow{}),
		"link of service %s with %s", service, target)
	if err != nil {
		return err
	}
	tx.changed("link", target.String(), "")
	return tx.touchService(application, service)
}

// touchService raises the application's revision for a change beside the service's own row.
func (tx *Tx) touchService(application api.ApplicationID, service api.ServiceID) error {
	_, err := tx.changeService(application, service, func(*serviceRow) {})
	return err
}
