package store

import (
	"errors"
	"fmt"
	"time"
)

type secretRow struct {
	Name    string `gorm:"primaryKey"`
	Sealed  []byte
	Changed time.Time
}

func (secretRow) TableName() string { return "secrets" }

// Secret gives the secret of that name in clear, or ErrNotFound.
func (r *Read) Secret(name string) ([]byte, error) {
	var row secretRow
	if err := r.db.First(&row, "name = ?", name).Error; err != nil {
		return nil, rowError(err, "secret %q", name)
	}
	return r.box.open(secretPlace(name), row.Sealed)
}

// PutSecret keeps data under a name, encrypted by the key file; it replaces what was there.
func (tx *Tx) PutSecret(name string, data []byte) error {
	row := secretRow{Name: name, Sealed: tx.box.seal(secretPlace(name), data), Changed: tx.now}
	return rowError(tx.db.Save(&row).Error, "secret %q", name)
}

// EnsureSecret gives the secret of that name; when there is none it keeps what create makes.
func (tx *Tx) EnsureSecret(name string, create func() ([]byte, error)) ([]byte, error) {
	data, err := tx.Secret(name)
	if !errors.Is(err, ErrNotFound) {
		return data, err
	}
	if data, err = create(); err != nil {
		return nil, fmt.Errorf("make secret %q: %w", name, err)
	}
	return data, tx.PutSecret(name, data)
}

func secretPlace(name string) string { return "secret/" + name }

// AuthorityKind says what an Authority signs.
type AuthorityKind string

// The kinds of authorities.
const (
	AuthorityCA   AuthorityKind = "ca"   // certificates; Certificate is PEM, Key is PEM
	AuthorityCode AuthorityKind = "code" // code manifests; Certificate is the public key, PEM
)

// Authority is a key that others trust. Its key is encrypted in the database by the key file.
type Authority struct {
	ID          int64
	Kind        AuthorityKind
	Certificate []byte // public, PEM
	Key         []byte // private, PEM, in clear here
	Created     time.Time
	Retired     time.Time // zero: in use
	Signs       bool      // the newest for which it is true signs
}

type authorityRow struct {
	ID          int64 `gorm:"primaryKey;autoIncrement"`
	Kind        string
	Certificate []byte
	SealedKey   []byte
	Created     time.Time
	Retired     *time.Time
	Signs       bool
}

func (authorityRow) TableName() string { return "authorities" }

// Authorities gives those of a kind that are not retired, the newest first. The first for which Signs is true signs, the
// others are only trusted.
func (r *Read) Authorities(kind AuthorityKind) ([]Authority, error) {
	var rows []authorityRow
	if err := r.db.Where("kind = ? AND retired IS NULL", string(kind)).Order("id DESC").Find(&rows).Error; err != nil {
		return nil, rowError(err, "authorities %s", kind)
	}
	out := make([]Authority, len(rows))
	for i, row := range rows {
		key, err := r.box.open(authorityPlace(kind, row.Certificate), row.SealedKey)
		if err != nil {
			return nil, err
		}
		out[i] = Authority{ID: row.ID, Kind: kind, Certificate: row.Certificate, Key: key, Created: row.Created.UTC(), Retired: utc(row.Retired), Signs: row.Signs}
	}
	return out, nil
}

// AddAuthority adds one, which signs from now on or is only trusted until SignBy.
func (tx *Tx) AddAuthority(kind AuthorityKind, certificate, key []byte, signs bool) (Authority, error) {
	row := authorityRow{Kind: string(kind), Certificate: certificate, SealedKey: tx.box.seal(authorityPlace(kind, certificate), key), Created: tx.now, Signs: signs}
	if err := tx.db.Create(&row).Error; err != nil {
		return Authority{}, rowError(err, "authority %s", kind)
	}
	return Authority{ID: row.ID, Kind: kind, Certificate: certificate, Key: key, Created: row.Created, Signs: signs}, nil
}

// SignBy has an authority sign from now on, if no newer one does.
func (tx *Tx) SignBy(id int64) error {
	return one(tx.db.Model(&authorityRow{}).Where("id = ? AND retired IS NULL", id).Update("signs", true), "authority %d", id)
}

// RetireAuthority ends the trust in one; its key is destroyed.
func (tx *Tx) RetireAuthority(id int64) error {
	return one(tx.db.Model(&authorityRow{}).Where("id = ? AND retired IS NULL", id).
		Updates(map[string]any{"retired": tx.now, "sealed_key": []byte{}}), "authority %d", id)
}

// authorityPlace ties a sealed key to its public part.
func authorityPlace(kind AuthorityKind, certificate []byte) string {
	return "authority/" + string(kind) + "/" + string(certificate)
}
