package store

import (
	"fmt"
	"strings"
	"time"

	"conpaas/client/api"
)

// Certificate is one that this installation has issued.
type Certificate struct {
	ID       int64
	Serial   string     // hexadecimal, unique
	Identity string     // URI form
	Role     string     // of the identity
	User     api.UserID // of a user's certificate; 0: of another role
	Signer   string     // subject key id of the authority, hexadecimal; "" where it was not recorded
	Name     string     // that a user has given it
	Created  time.Time
	NotAfter time.Time
	Used     time.Time // as UseCertificate was told; zero: never
	Revoked  time.Time // zero: it is not
	Reason   string    // of the revocation
}

type certificateRow struct {
	ID       int64 `gorm:"primaryKey;autoIncrement"`
	Serial   string
	Identity string
	Role     string
	UserID   int64
	Signer   string
	Name     string
	Created  time.Time
	NotAfter time.Time
	Used     *time.Time
	Revoked  *time.Time
	Reason   string
}

func (certificateRow) TableName() string { return "certificates" }

func (r certificateRow) certificate() Certificate {
	return Certificate{
		ID: r.ID, Serial: r.Serial, Identity: r.Identity, Role: r.Role, User: api.UserID(r.UserID), Signer: r.Signer, Name: r.Name,
		Created: r.Created.UTC(), NotAfter: r.NotAfter.UTC(), Used: utc(r.Used), Revoked: utc(r.Revoked), Reason: r.Reason,
	}
}

// Certificate gives the certificate with that serial, or ErrNotFound: then it was not issued here.
func (r *Read) Certificate(serial string) (Certificate, error) {
	var row certificateRow
	err := r.db.First(&row, "serial = ?", serial).Error
	return row.certificate(), rowError(err, "certificate %s", serial)
}

// CertificateUser gives the certificate with that serial and its user. ErrNotFound when it was not issued here, is revoked or has
// ended, or its user is disabled.
func (r *Read) CertificateUser(serial string) (User, Certificate, error) {
	c, err := r.Certificate(serial)
	if err == nil && (!c.Revoked.IsZero() || !c.NotAfter.After(r.now)) {
		err = fmt.Errorf("certificate %s opens nothing any more: %w", serial, ErrNotFound)
	}
	if err != nil {
		return User{}, Certificate{}, err
	}
	u, err := r.User(c.User)
	if err == nil && u.Disabled {
		err = fmt.Errorf("certificate of a disabled user: %w", ErrNotFound)
	}
	if err != nil {
		return User{}, Certificate{}, err
	}
	return u, c, nil
}

// CertificatesOf gives all certificates of an identity, the oldest first.
func (r *Read) CertificatesOf(identity string) ([]Certificate, error) {
	var rows []certificateRow
	err := r.db.Where("identity = ?", identity).Order("created, serial").Find(&rows).Error
	return convert(rows, certificateRow.certificate), rowError(err, "certificates of %s", identity)
}

// CertificateFilter says which certificates are wanted: those that open something now, or, with Revoked, those that are
// revoked and would not have ended yet. Zero members want all.
type CertificateFilter struct {
	Role    string
	Before  time.Time // that end before
	Revoked bool
}

// Certificates gives a page of certificates by id, and where the next one begins (0: nowhere).
func (r *Read) Certificates(f CertificateFilter, p Page) ([]Certificate, int64, error) {
	query := r.db.Where("not_after > ? AND revoked IS "+map[bool]string{false: "", true: "NOT "}[f.Revoked]+"NULL", r.now)
	if f.Role != "" {
		query = query.Where("role = ?", f.Role)
	}
	if !f.Before.IsZero() {
		query = query.Where("not_after < ?", f.Before.UTC())
	}
	rows, next, err := list(query, "id", p, func(r certificateRow) int64 { return r.ID })
	return convert(rows, certificateRow.certificate), next, err
}

// UserCertificates gives a page of a user's certificates that open something now.
func (r *Read) UserCertificates(user api.UserID, p Page) ([]Certificate, int64, error) {
	query := r.db.Where("user_id = ? AND not_after > ? AND revoked IS NULL", int64(user), r.now)
	rows, next, err := list(query, "id", p, func(r certificateRow) int64 { return r.ID })
	return convert(rows, certificateRow.certificate), next, err
}

// CertificatesNotBy counts the certificates of users that open something now, that other authorities than signer have signed,
// and that were not renewed by signer: those that are in use somewhere.
func (r *Read) CertificatesNotBy(signer string) (n int, err error) {
	err = r.db.Raw(`SELECT count(*) FROM certificates c WHERE user_id <> 0 AND not_after > ? AND revoked IS NULL AND signer <> ?
		AND NOT EXISTS (SELECT 1 FROM certificates n WHERE n.user_id = c.user_id AND n.name = c.name AND n.revoked IS NULL AND n.signer = ?)`,
		r.now, signer, signer).Scan(&n).Error
	return n, rowError(err, "count certificates of users")
}

// AddCertificate records one before it is handed out; ID and Created of c are set here. ErrExists when the serial is taken.
func (tx *Tx) AddCertificate(c Certificate) (Certificate, error) {
	row := certificateRow{
		Serial: c.Serial, Identity: c.Identity, Role: c.Role, UserID: int64(c.User), Signer: c.Signer, Name: c.Name,
		Created: tx.now, NotAfter: c.NotAfter.UTC(),
	}
	err := tx.db.Create(&row).Error
	tx.changed("certificate", "", strings.TrimSpace(row.Serial+" "+row.Name))
	return row.certificate(), rowError(err, "certificate %s", c.Serial)
}

// UseCertificate records that a certificate was used now.
func (tx *Tx) UseCertificate(id int64) error {
	err := tx.db.Model(&certificateRow{}).Where("id = ?", id).Update("used", tx.now).Error
	return rowError(err, "certificate %d", id)
}

// RevokeCertificate revokes one; it is no error if that has been done before, whose reason is kept.
func (tx *Tx) RevokeCertificate(serial, reason string) error {
	if _, err := tx.Certificate(serial); err != nil {
		return err
	}
	_, err := tx.revoke(reason, "serial = ?", serial)
	return err
}

// RevokeIdentity revokes all certificates of an identity.
func (tx *Tx) RevokeIdentity(identity, reason string) error {
	_, err := tx.revoke(reason, "identity = ?", identity)
	return err
}

// RevokeCertificatesOf revokes those of a user that have the serial or the name ref, all of them where ref is "". ErrNotFound
// when there is none of ref that opens something.
func (tx *Tx) RevokeCertificatesOf(user api.UserID, ref, reason string) error {
	if ref == "" {
		_, err := tx.revoke(reason, "user_id = ?", int64(user))
		return err
	}
	n, err := tx.revoke(reason, "user_id = ? AND not_after > ? AND (serial = ? OR name = ?)", int64(user), tx.now, ref, ref)
	if err == nil && n == 0 {
		err = fmt.Errorf("certificate %q: %w", ref, ErrNotFound)
	}
	return err
}

// RevokeNotBy revokes the certificates of users that other authorities than signer have signed.
func (tx *Tx) RevokeNotBy(signer, reason string) error {
	_, err := tx.revoke(reason, "user_id <> 0 AND signer <> ?", signer)
	return err
}

func (tx *Tx) revoke(reason, where string, args ...any) (int64, error) {
	result := tx.db.Model(&certificateRow{}).Where(where, args...).Where("revoked IS NULL").
		Updates(map[string]any{"revoked": tx.now, "reason": reason})
	if result.RowsAffected > 0 {
		tx.changed("revoked certificates", "", fmt.Sprintf("%d: %s", result.RowsAffected, reason))
	}
	return result.RowsAffected, rowError(result.Error, "revoke certificates")
}
