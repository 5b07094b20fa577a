package store

import (
	"errors"
	"fmt"
	"time"

	"conpaas/client/api"
)

// Token is what opens an account until it expires: that of a login, or one with a name, made for a program.
type Token struct {
	ID      int64
	User    api.UserID
	Name    string // "" for that of a login
	Created time.Time
	Expires time.Time
	Used    time.Time // as UseToken was told; zero: never
}

// Label names a token for people: by its name, or as that of a login.
func (t Token) Label() string {
	if t.Name != "" {
		return fmt.Sprintf("%s (%d)", t.Name, t.ID)
	}
	return fmt.Sprintf("login (%d)", t.ID)
}

type tokenRow struct {
	ID      int64 `gorm:"primaryKey;autoIncrement"`
	Hash    string
	UserID  int64
	Name    string
	Created time.Time
	Expires time.Time
	Used    *time.Time
}

func (tokenRow) TableName() string { return "tokens" }

func (r tokenRow) token() Token {
	return Token{ID: r.ID, User: api.UserID(r.UserID), Name: r.Name, Created: r.Created.UTC(), Expires: r.Expires.UTC(), Used: utc(r.Used)}
}

// TokenUser gives the token with this hash and its user. ErrNotFound when it is unknown or expired, or its user is disabled.
func (r *Read) TokenUser(hash string) (User, Token, error) {
	var row tokenRow
	if err := r.db.First(&row, "hash = ? AND expires > ?", hash, r.now).Error; err != nil {
		return User{}, Token{}, rowError(err, "token")
	}
	u, err := r.User(api.UserID(row.UserID))
	if err == nil && u.Disabled {
		err = fmt.Errorf("token of a disabled user: %w", ErrNotFound)
	}
	if err != nil {
		return User{}, Token{}, err
	}
	return u, row.token(), nil
}

// Tokens gives a page of a user's tokens that have not expired by id, and where the next one begins (0: nowhere).
func (r *Read) Tokens(user api.UserID, p Page) ([]Token, int64, error) {
	query := r.db.Where("user_id = ? AND expires > ?", int64(user), r.now)
	rows, next, err := list(query, "id", p, func(r tokenRow) int64 { return r.ID })
	return convert(rows, tokenRow.token), next, err
}

// tokensMost is how many tokens of logins, and how many with a name, a user has at most.
const tokensMost = 100

// AddToken records a token by its hash; ID and Created of t are set here. ErrExists when the user has one of that name,
// unless that has expired; ErrQuota when it has 100 with a name. In the place of the 101st of a login the oldest ends.
func (tx *Tx) AddToken(hash string, t Token) (Token, error) {
	err := tx.db.Where("user_id = ? AND name = ? AND expires <= ?", int64(t.User), t.Name, tx.now).Delete(&tokenRow{}).Error
	if err != nil {
		return Token{}, rowError(err, "tokens of user %d", t.User)
	}
	if err := tx.roomForToken(t); err != nil {
		return Token{}, err
	}
	row := tokenRow{Hash: hash, UserID: int64(t.User), Name: t.Name, Created: tx.now, Expires: t.Expires.UTC()}
	err = tx.db.Create(&row).Error
	tx.changed("token", "", fmt.Sprintf("%s until %s", row.token().Label(), row.Expires.Format(time.RFC3339)))
	return row.token(), rowError(err, "token %q of user %d", t.Name, t.User)
}

func (tx *Tx) roomForToken(t Token) error {
	named := "name <> ''"
	if t.Name == "" {
		named = "name = ''"
	}
	var live []int64
	err := tx.db.Model(&tokenRow{}).Where("user_id = ? AND expires > ? AND "+named, int64(t.User), tx.now).Order("id").Pluck("id", &live).Error
	switch {
	case err != nil || len(live) < tokensMost:
		return rowError(err, "tokens of user %d", t.User)
	case t.Name != "":
		return fmt.Errorf("there are %d tokens, the most that a user may have; revoke one first: %w", len(live), ErrQuota)
	}
	return rowError(tx.db.Delete(&tokenRow{}, live[:len(live)-tokensMost+1]).Error, "tokens of user %d", t.User)
}

// UseToken records that a token was used now; one that has ended meanwhile is no error.
func (tx *Tx) UseToken(id int64) error {
	err := tx.db.Model(&tokenRow{}).Where("id = ?", id).Update("used", tx.now).Error
	return rowError(err, "token %d", id)
}

// RevokeToken ends a token of a user by its id in decimal or its name, or gives ErrNotFound.
func (tx *Tx) RevokeToken(user api.UserID, ref string) error {
	if ref == "" { // the name of all tokens of logins
		return fmt.Errorf("token %q: %w", ref, ErrNotFound)
	}
	var row tokenRow
	if err := named(tx.db.Where("user_id = ?", int64(user)), ref).First(&row).Error; err != nil {
		return rowError(err, "token %q", ref)
	}
	tx.changed("token", row.token().Label(), "")
	return one(tx.db.Delete(&tokenRow{}, row.ID), "token %q", ref)
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
