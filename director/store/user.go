package store

import (
	"fmt"
	"strconv"
	"time"

	"conpaas/client/api"
)

// User is a person or program that uses the installation.
type User struct {
	ID       api.UserID
	Name     string // unique
	Role     api.UserRole
	Password string // argon2id in PHC form; "" where no password opens it
	Disabled bool   // may not log in, its tokens are gone
	Created  time.Time
	Profile  api.Profile
}

type userRow struct {
	ID       int64 `gorm:"primaryKey;autoIncrement"`
	Name     string
	Role     string
	Password string
	Disabled bool
	Created  time.Time

	Email       string
	FirstName   string
	LastName    string
	Affiliation string
}

func (userRow) TableName() string { return "users" }

func (r userRow) user() User {
	return User{
		ID: api.UserID(r.ID), Name: r.Name, Role: api.UserRole(r.Role), Password: r.Password, Disabled: r.Disabled, Created: r.Created.UTC(),
		Profile: api.Profile{Email: r.Email, FirstName: r.FirstName, LastName: r.LastName, Affiliation: r.Affiliation},
	}
}

// User gives a user by id, or ErrNotFound.
func (r *Read) User(id api.UserID) (User, error) {
	var row userRow
	err := r.db.First(&row, int64(id)).Error
	return row.user(), rowError(err, "user %d", id)
}

// FindUser gives a user by name, or ErrNotFound.
func (r *Read) FindUser(name string) (User, error) {
	var row userRow
	err := r.db.First(&row, "name = ?", name).Error
	return row.user(), rowError(err, "user %q", name)
}

// NamedUser gives a user by its id in decimal or its name, or ErrNotFound.
func (r *Read) NamedUser(ref string) (User, error) {
	var row userRow
	err := named(r.db, ref).First(&row).Error
	return row.user(), rowError(err, "user %q", ref)
}

// Users gives a page of the users by id, and where the next one begins (0: nowhere).
func (r *Read) Users(p Page) ([]User, int64, error) {
	rows, next, err := list(r.db, "id", p, func(r userRow) int64 { return r.ID })
	return convert(rows, userRow.user), next, err
}

// CreateUser adds a user; ID and Created of u are set here. ErrExists when the name is taken, ErrAlike when one differs in
// case alone.
func (tx *Tx) CreateUser(u User) (User, error) {
	if err := tx.freeName(&userRow{}, u.Name, 0, "id > ?", 0); err != nil {
		return User{}, err
	}
	row := userRow{
		Name: u.Name, Role: string(u.Role), Password: u.Password, Disabled: u.Disabled, Created: tx.now,
		Email: u.Profile.Email, FirstName: u.Profile.FirstName, LastName: u.Profile.LastName, Affiliation: u.Profile.Affiliation,
	}
	err := tx.db.Create(&row).Error
	tx.changed("user", "", fmt.Sprintf("%s (%d), %s", row.Name, row.ID, row.Role))
	return row.user(), rowError(err, "user %q", u.Name)
}

// SetPassword replaces the password's hash and ends all sessions of the user.
func (tx *Tx) SetPassword(id api.UserID, hash string) error {
	if err := tx.updateUser(id, "password", hash); err != nil {
		return err
	}
	tx.changed("password", masked, masked)
	return tx.DeleteTokensOf(id)
}

// RehashPassword replaces the hash of the same password by one with other parameters; sessions go on.
func (tx *Tx) RehashPassword(id api.UserID, hash string) error {
	return tx.updateUser(id, "password", hash)
}

// SetProfile replaces what is known of the person.
func (tx *Tx) SetProfile(id api.UserID, p api.Profile) error {
	before, err := tx.User(id)
	if err != nil {
		return err
	}
	tx.changed("email", before.Profile.Email, p.Email)
	tx.changed("first_name", before.Profile.FirstName, p.FirstName)
	tx.changed("last_name", before.Profile.LastName, p.LastName)
	tx.changed("affiliation", before.Profile.Affiliation, p.Affiliation)
	columns := map[string]any{"email": p.Email, "first_name": p.FirstName, "last_name": p.LastName, "affiliation": p.Affiliation}
	return one(tx.db.Model(&userRow{}).Where("id = ?", int64(id)).Updates(columns), "user %d", id)
}

// SetUserRole makes the user an admin or an ordinary user. ErrConflict when nobody would be left to administer.
func (tx *Tx) SetUserRole(id api.UserID, role api.UserRole) error {
	before, err := tx.User(id)
	if err != nil {
		return err
	}
	tx.changed("role", string(before.Role), string(role))
	if err := tx.updateUser(id, "role", string(role)); err != nil {
		return err
	}
	return tx.someAdminLeft()
}

// SetDisabled closes or reopens an account; closing ends its sessions. ErrConflict when nobody would be left to administer.
func (tx *Tx) SetDisabled(id api.UserID, disabled bool) error {
	before, err := tx.User(id)
	if err != nil {
		return err
	}
	tx.changed("disabled", strconv.FormatBool(before.Disabled), strconv.FormatBool(disabled))
	if err := tx.updateUser(id, "disabled", disabled); err != nil {
		return err
	}
	if !disabled {
		return nil
	}
	if err := tx.DeleteTokensOf(id); err != nil {
		return err
	}
	return tx.someAdminLeft()
}

// DeleteUser removes a user with its tokens. ErrConflict while it has applications.
func (tx *Tx) DeleteUser(id api.UserID) error {
	var applications int64
	if err := tx.db.Model(&applicationRow{}).Where("owner_id = ?", int64(id)).Count(&applications).Error; err != nil {
		return fmt.Errorf("delete user %d: %w", id, err)
	}
	if applications > 0 {
		return fmt.Errorf("user %d has %d applications, delete them first: %w", id, applications, ErrConflict)
	}
	before, err := tx.User(id)
	if err != nil {
		return err
	}
	tx.changed("user", fmt.Sprintf("%s (%d), %s", before.Name, id, before.Role), "")
	if err := one(tx.db.Delete(&userRow{}, int64(id)), "user %d", id); err != nil {
		return err
	}
	return tx.someAdminLeft()
}

func (tx *Tx) updateUser(id api.UserID, column string, value any) error {
	return one(tx.db.Model(&userRow{}).Where("id = ?", int64(id)).Update(column, value), "user %d", id)
}

func (tx *Tx) someAdminLeft() error {
	var admins int64
	err := tx.db.Model(&userRow{}).Where("role = ? AND NOT disabled", string(api.RoleAdmin)).Count(&admins).Error
	if err != nil {
		return fmt.Errorf("count the admins: %w", err)
	}
	if admins == 0 {
		return fmt.Errorf("this is the last admin, make another one first: %w", ErrConflict)
	}
	return nil
}
