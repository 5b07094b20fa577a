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
	TOTP     bool      // a second factor counts
	Deleting time.Time // since when it waits for the end of its applications to go with them; zero: it does not
	Credit   int64     // that CreateUser gives it; not read back
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

	TOTPSealed []byte     `gorm:"column:totp_sealed"`
	TOTPSince  *time.Time `gorm:"column:totp_since"`
	TOTPStep   int64      `gorm:"column:totp_step"`
	Deleting   *time.Time
}

func (userRow) TableName() string { return "users" }

func (r userRow) user() User {
	return User{
		ID: api.UserID(r.ID), Name: r.Name, Role: api.UserRole(r.Role), Password: r.Password, Disabled: r.Disabled, Created: r.Created.UTC(),
		Profile: api.Profile{Email: r.Email, FirstName: r.FirstName, LastName: r.LastName, Affiliation: r.Affiliation},
		TOTP:    r.TOTPSince != nil, Deleting: utc(r.Deleting),
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
	if err := tx.db.Create(&row).Error; err != nil {
		return User{}, rowError(err, "user %q", u.Name)
	}
	tx.changed("user", "", fmt.Sprintf("%s (%d), %s", row.Name, row.ID, row.Role))
	_, err := tx.Grant(api.UserID(row.ID), api.CreditInitial, u.Credit, "", "a new user")
	return row.user(), err
}

// SetPassword replaces the password's hash and ends all that opens the account.
func (tx *Tx) SetPassword(id api.UserID, hash string) error {
	if err := tx.updateUser(id, "password", hash); err != nil {
		return err
	}
	tx.changed("password", masked, masked)
	return tx.endAccess(id, "the user has another password")
}

// endAccess ends all tokens and certificates of a user.
func (tx *Tx) endAccess(id api.UserID, reason string) error {
	if err := tx.DeleteTokensOf(id); err != nil {
		return err
	}
	return tx.RevokeCertificatesOf(id, "", reason)
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

// SetDisabled closes or reopens an account; closing ends all that opens it. ErrConflict when nobody would be left to
// administer, and for an account that is being deleted.
func (tx *Tx) SetDisabled(id api.UserID, disabled bool) error {
	if disabled {
		return tx.closeAccount(id, map[string]any{"disabled": true}, "the user is disabled")
	}
	result := tx.db.Model(&userRow{}).Where("id = ? AND deleting IS NULL", int64(id)).Update("disabled", false)
	if result.Error == nil && result.RowsAffected == 0 {
		return fmt.Errorf("user %d is being deleted: %w", id, ErrConflict)
	}
	tx.changed("disabled", "true", "false")
	return rowError(result.Error, "user %d", id)
}

// MarkDeleting closes an account that is to go with its last application; see PurgeApplication.
func (tx *Tx) MarkDeleting(id api.UserID) error {
	return tx.closeAccount(id, map[string]any{"disabled": true, "deleting": tx.now}, "the user is being deleted")
}

func (tx *Tx) closeAccount(id api.UserID, columns map[string]any, reason string) error {
	before, err := tx.User(id)
	if err != nil {
		return err
	}
	tx.changed("disabled", strconv.FormatBool(before.Disabled), "true")
	if err := one(tx.db.Model(&userRow{}).Where("id = ?", int64(id)).Updates(columns), "user %d", id); err != nil {
		return err
	}
	if err := tx.endAccess(id, reason); err != nil {
		return err
	}
	return tx.someAdminLeft()
}

func (r *Read) countApplications(owner api.UserID) (n int64, err error) {
	err = r.db.Model(&applicationRow{}).Where("owner_id = ?", int64(owner)).Count(&n).Error
	return n, rowError(err, "count the applications of user %d", owner)
}

// leaveWith deletes a user who waits for the end of its applications when none is left.
func (tx *Tx) leaveWith(id api.UserID) error {
	u, err := tx.User(id)
	if err != nil || u.Deleting.IsZero() {
		return err
	}
	if left, err := tx.countApplications(id); err != nil || left > 0 {
		return err
	}
	return tx.DeleteUser(id)
}

// DeleteUser removes a user with all that opens its account. ErrConflict while it has applications.
func (tx *Tx) DeleteUser(id api.UserID) error {
	applications, err := tx.countApplications(id)
	if err != nil {
		return err
	}
	if applications > 0 {
		return fmt.Errorf("user %d has %d applications, delete them first: %w", id, applications, ErrConflict)
	}
	before, err := tx.User(id)
	if err != nil {
		return err
	}
	tx.changed("user", fmt.Sprintf("%s (%d), %s", before.Name, id, before.Role), "")
	if err := tx.endVolumes(id); err != nil {
		return err
	}
	if err := tx.endAccess(id, "the user is deleted"); err != nil {
		return err
	}
	if err := tx.closeCredit(id); err != nil {
		return err
	}
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
