package store

import (
	"errors"
	"fmt"
	"time"

	"conpaas/client/api"
)

type tokenRow struct {
	Hash    string `gorm:"primaryKey"`
	UserID  int64
	Created time.Time
	Expires time.Time
}

func (tokenRow) TableName() string { return "tokens" }

// TokenUser gives the user whose token has this hash and when the token expires. ErrNotFound when it is unknown or
// expired, or its user is disabled.
func (r *Read) TokenUser(hash string) (User, time.Time, error) {
	var row tokenRow
	if err := r.db.First(&row, "hash = ? AND expires > ?", hash, r.now).Error; err != nil {
		return User{}, time.Time{}, rowError(err, "token")
	}
	u, err := r.User(api.UserID(row.UserID))
	if err == nil && u.Disabled {
		err = fmt.Errorf("token of a disabled user: %w", ErrNotFound)
	}
	if err != nil {
		return User{}, time.Time{}, err
	}
	return u, row.Expires.UTC(), nil
}

// AddToken records a token by its hash until expires.
func (tx *Tx) AddToken(hash string, user api.UserID, expires time.Time) error {
	err := tx.db.Create(&tokenRow{Hash: hash, UserID: int64(user), Created: tx.now, Expires: expires.UTC()}).Error
	return rowError(err, "token of user %d", user)
}

// DeleteToken ends one session; one that has ended already is no error.
func (tx *Tx) DeleteToken(hash string) error {
	err := one(tx.db.Delete(&tokenRow{}, "hash = ?", hash), "token")
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// DeleteTokensOf ends all sessions of a user.
func (tx *Tx) DeleteTokensOf(user api.UserID) error {
	return rowError(tx.db.Delete(&tokenRow{}, "user_id = ?", int64(user)).Error, "tokens of user %d", user)
}
