package store

import (
	"fmt"
	"strconv"
	"time"

	"conpaas/client/api"
)

// TOTP is the second factor of a user.
type TOTP struct {
	Secret []byte
	Since  time.Time // zero: the first code has not come yet, and it does not count
	Step   int64     // of the last code that was accepted
}

func totpPlace(user api.UserID) string { return "totp/" + strconv.FormatInt(int64(user), 10) }

// TOTP gives the second factor of a user, confirmed or not, or ErrNotFound.
func (r *Read) TOTP(user api.UserID) (TOTP, error) {
	var row userRow
	err := r.db.First(&row, "id = ? AND totp_sealed IS NOT NULL", int64(user)).Error
	if err != nil {
		return TOTP{}, rowError(err, "second factor of user %d", user)
	}
	secret, err := r.box.open(totpPlace(user), row.TOTPSealed)
	return TOTP{Secret: secret, Since: utc(row.TOTPSince), Step: row.TOTPStep}, err
}

// Feigned tells of a user name that nobody has whether it is to look like one with a second factor: always the same for a
// name, half of all names, and not to be foretold without the key file.
func (r *Read) Feigned(name string) bool { return r.box.derive("totp/" + name)[0] < '8' }

// BeginTOTP gives a user a second factor, which does not count before ConfirmTOTP. ErrConflict when one counts already.
func (tx *Tx) BeginTOTP(user api.UserID, secret []byte) error {
	result := tx.db.Model(&userRow{}).Where("id = ? AND totp_since IS NULL", int64(user)).
		Updates(map[string]any{"totp_sealed": tx.box.seal(totpPlace(user), secret), "totp_step": 0})
	if result.Error == nil && result.RowsAffected == 0 {
		return fmt.Errorf("user %d has a second factor already: %w", user, ErrConflict)
	}
	return rowError(result.Error, "user %d", user)
}

// ConfirmTOTP lets the second factor count from now on, after the code of a time step, with these hashes of recovery codes.
func (tx *Tx) ConfirmTOTP(user api.UserID, step int64, recovery []string) error {
	if err := tx.UseStep(user, step); err != nil {
		return err
	}
	if err := tx.updateUser(user, "totp_since", tx.now); err != nil {
		return err
	}
	tx.changed("second factor", "no", "yes")
	for _, hash := range recovery {
		if err := tx.db.Create(&recoveryRow{Hash: hash, UserID: int64(user)}).Error; err != nil {
			return rowError(err, "recovery code of user %d", user)
		}
	}
	return nil
}

// UseStep uses up the codes of a time step and of those before it. ErrConflict when that has been done.
func (tx *Tx) UseStep(user api.UserID, step int64) error {
	result := tx.db.Model(&userRow{}).Where("id = ? AND totp_sealed IS NOT NULL AND totp_step < ?", int64(user), step).Update("totp_step", step)
	if result.Error == nil && result.RowsAffected == 0 {
		return fmt.Errorf("the code of user %d has been used: %w", user, ErrConflict)
	}
	return rowError(result.Error, "user %d", user)
}

// EndTOTP takes the second factor from a user; it is no error if there is none.
func (tx *Tx) EndTOTP(user api.UserID) error {
	columns := map[string]any{"totp_sealed": nil, "totp_since": nil, "totp_step": 0}
	if err := one(tx.db.Model(&userRow{}).Where("id = ?", int64(user)).Updates(columns), "user %d", user); err != nil {
		return err
	}
	tx.changed("second factor", "yes", "no")
	return rowError(tx.db.Delete(&recoveryRow{}, "user_id = ?", int64(user)).Error, "recovery codes of user %d", user)
}

// recoveryRow is a code that opens an account once in the place of one of its second factor.
type recoveryRow struct {
	Hash   string `gorm:"primaryKey"`
	UserID int64
}

func (recoveryRow) TableName() string { return "recovery_codes" }

// RecoveryCode tells whether a user has an unused recovery code with this hash.
func (r *Read) RecoveryCode(user api.UserID, hash string) (bool, error) {
	var n int64
	err := r.db.Model(&recoveryRow{}).Where("user_id = ? AND hash = ?", int64(user), hash).Count(&n).Error
	return n > 0, rowError(err, "recovery code of user %d", user)
}

// UseRecoveryCode uses one up. ErrConflict when that has been done.
func (tx *Tx) UseRecoveryCode(user api.UserID, hash string) error {
	result := tx.db.Delete(&recoveryRow{}, "user_id = ? AND hash = ?", int64(user), hash)
	if result.Error == nil && result.RowsAffected == 0 {
		return fmt.Errorf("the recovery code of user %d has been used: %w", user, ErrConflict)
	}
	return rowError(result.Error, "recovery code of user %d", user)
}
