package store

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/mattn/go-sqlite3"
	"gorm.io/gorm"
)

// What may go wrong, for errors.Is. The first group is about what was asked, the second about the disk.
var (
	ErrNotFound = errors.New("not found")      // unknown, or of somebody else
	ErrExists   = errors.New("exists already") // the name, serial or machine is taken
	ErrAlike    = fmt.Errorf("a name that differs in case alone %w", ErrExists)
	ErrConflict = errors.New("not possible now")
	ErrQuota    = errors.New("limit reached")        // no address, partition or machine is left
	ErrCredit   = errors.New("not enough credit")    // the owner cannot pay for the machines
	ErrOtherKey = errors.New("bound to another key") // a second key tries to join as the same node

	ErrClosed   = errors.New("the store is closed")
	ErrInUse    = errors.New("data directory in use")            // another director runs on it
	ErrFull     = fmt.Errorf("the database: %w", syscall.ENOSPC) // nothing was written; works again when there is space
	ErrReadOnly = errors.New("the database cannot be written")
	ErrBusy     = errors.New("the database is locked by another program") // nothing was written; a retry may help
	ErrDamaged  = errors.New("the database is damaged")
	ErrKeyFile  = errors.New("key file") // secret.key is missing, readable by others or of another database
)

// diskError gives errors of the database itself a meaning; name is the transaction's. Others pass unchanged.
func diskError(name string, err error) error {
	kind := diskErrorKind(err)
	if kind == nil {
		return err
	}
	return fmt.Errorf("store %s: %w: %w", name, kind, err)
}

func diskErrorKind(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return ErrFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen:
		return ErrReadOnly
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return ErrBusy
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return ErrDamaged
	case sqlite3.ErrIoErr:
		switch e.SystemErrno {
		case syscall.ENOSPC, syscall.EDQUOT:
			return ErrFull
		case syscall.EROFS, syscall.EACCES:
			return ErrReadOnly
		}
	}
	return nil
}

// rowError gives the errors of a query about the thing that what names their meaning.
func rowError(err error, what string, args ...any) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fmt.Errorf(what+": %w", append(args, ErrNotFound)...)
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return fmt.Errorf(what+": %w", append(args, ErrExists)...)
	case errors.Is(err, gorm.ErrForeignKeyViolated):
		return fmt.Errorf(what+": something that it belongs to: %w", append(args, ErrNotFound)...)
	}
	return fmt.Errorf(what+": %w", append(args, err)...)
}
