package store

import (
	"time"
)

// Certificate is one that this installation has issued.
type Certificate struct {
	Serial   string // hexadecimal, unique
	Identity string // URI form
	Created  time.Time
	NotAfter time.Time
	Revoked  time.Time // zero: it is not
	Reason   string    // of the revocation
}

type certificateRow struct {
	Serial   string `gorm:"primaryKey"`
	Identity string
	Created  time.Time
	NotAfter time.Time
	Revoked  *time.Time
	Reason   string
}

func (certificateRow) TableName() string { return "certificates" }

func (r certificateRow) certificate() Certificate {
	return Certificate{
		Serial: r.Serial, Identity: r.Identity, Created: r.Created.UTC(), NotAfter: r.NotAfter.UTC(),
		Revoked: utc(r.Revoked), Reason: r.Reason,
	}
}

// Certificate gives the certificate with that serial, or ErrNotFound: then it was not issued here.
func (r *Read) Certificate(serial string) (Certificate, error) {
	var row certificateRow
	err := r.db.First(&row, "serial = ?", serial).Error
	return row.certificate(), rowError(err, "certificate %s", serial)
}

// CertificatesOf gives all certificates of an identity, the oldest first.
func (r *Read) CertificatesOf(identity string) ([]Certificate, error) {
	var rows []certificateRow
	err := r.db.Where("identity = ?", identity).Order("created, serial").Find(&rows).Error
	return convert(rows, certificateRow.certificate), rowError(err, "certificates of %s", identity)
}

// AddCertificate records one before it is handed out. ErrExists when the serial is taken.
func (tx *Tx) AddCertificate(serial, identity string, notAfter time.Time) error {
	row := certificateRow{Serial: serial, Identity: identity, Created: tx.now, NotAfter: notAfter.UTC()}
	return rowError(tx.db.Create(&row).Error, "certificate %s", serial)
}

// RevokeCertificate revokes one; it is no error if that has been done before, whose reason is kept.
func (tx *Tx) RevokeCertificate(serial, reason string) error {
	if _, err := tx.Certificate(serial); err != nil {
		return err
	}
	return tx.revoke(reason, "serial = ?", serial)
}

// RevokeIdentity revokes all certificates of an identity.
func (tx *Tx) RevokeIdentity(identity, reason string) error {
	return tx.revoke(reason, "identity = ?", identity)
}

func (tx *Tx) revoke(reason, where string, arg any) error {
	err := tx.db.Model(&certificateRow{}).Where(where, arg).Where("revoked IS NULL").
		Updates(map[string]any{"revoked": tx.now, "reason": reason}).Error
	return rowError(err, "revoke certificates")
}
