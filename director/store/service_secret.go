package store

import (
	"fmt"

	"conpaas/client/api"
)

type serviceSecretRow struct {
	ApplicationID int64  `gorm:"primaryKey;autoIncrement:false"`
	ServiceID     int64  `gorm:"primaryKey;autoIncrement:false"`
	Name          string `gorm:"primaryKey"`
	Sealed        []byte
}

func (serviceSecretRow) TableName() string { return "service_secrets" }

// place ties a sealed secret to its service.
func (r serviceSecretRow) place() string {
	return fmt.Sprintf("service/%d/%d/%s", r.ApplicationID, r.ServiceID, r.Name)
}

// ServiceSecrets gives the secrets of all services of an application, by their names, in clear.
func (r *Read) ServiceSecrets(application api.ApplicationID) (map[api.ServiceID]map[string]api.Secret, error) {
	var rows []serviceSecretRow
	if err := r.db.Where("application_id = ?", int64(application)).Find(&rows).Error; err != nil {
		return nil, rowError(err, "secrets of application %s", application)
	}
	secrets := make(map[api.ServiceID]map[string]api.Secret)
	for _, row := range rows {
		text, err := r.box.open(row.place(), row.Sealed)
		if err != nil {
			return nil, err
		}
		id := api.ServiceID(row.ServiceID)
		if secrets[id] == nil {
			secrets[id] = make(map[string]api.Secret)
		}
		secrets[id][row.Name] = api.Secret(text)
	}
	return secrets, nil
}

// PutServiceSecret keeps a secret of a service, encrypted by the key file. It goes with the service. ErrExists when there
// is one of that name.
func (tx *Tx) PutServiceSecret(application api.ApplicationID, service api.ServiceID, name string, secret api.Secret) error {
	row := serviceSecretRow{ApplicationID: int64(application), ServiceID: int64(service), Name: name}
	row.Sealed = tx.box.seal(row.place(), []byte(secret.Reveal()))
	return rowError(tx.db.Create(&row).Error, "secret %q of service %s", name, service)
}

// SetServiceSecret replaces a secret of a service, or adds it, and raises the application's revision.
func (tx *Tx) SetServiceSecret(application api.ApplicationID, service api.ServiceID, name string, secret api.Secret) error {
	if _, err := tx.changeService(application, service, func(*serviceRow) { tx.changed("secret "+name, masked, masked) }); err != nil {
		return err
	}
	row := serviceSecretRow{ApplicationID: int64(application), ServiceID: int64(service), Name: name}
	row.Sealed = tx.box.seal(row.place(), []byte(secret.Reveal()))
	return rowError(tx.db.Save(&row).Error, "secret %q of service %s", name, service)
}
