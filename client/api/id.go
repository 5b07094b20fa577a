package api

import (
	"errors"
	"fmt"
	"strconv"
)

// UserID numbers a user of the installation, from 1.
type UserID int64

// ApplicationID numbers an application of the installation, from 1. It is never reused.
type ApplicationID int64

// ServiceID numbers a service inside its application, from 1. It is never reused there.
type ServiceID int64

// NodeID names a node (one machine of one application) in the whole installation, for example "n12".
type NodeID string

// OperationID names an operation in the whole installation, for example "op7".
type OperationID string

// String gives the decimal form used in paths, tables and certificates.
func (id ApplicationID) String() string { return strconv.FormatInt(int64(id), 10) }

// String gives the decimal form used in paths and tables.
func (id ServiceID) String() string { return strconv.FormatInt(int64(id), 10) }

// ErrName is wrapped by every error of CheckName.
var ErrName = errors.New("invalid name")

// NameMax is the longest name of an application or a service, in bytes.
const NameMax = 63

// CheckName tells whether name may be given to an application or a service: a letter, then letters,
// digits, '-', '_', '.' or single spaces, at most NameMax bytes, not ending in a space. Names never begin with a
// digit, so that they cannot be taken for an id.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: it is empty", ErrName)
	}
	if len(name) > NameMax {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrName, len(name), NameMax)
	}
	for i, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		inner := '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.' || r == ' '
		switch {
		case letter:
		case i == 0:
			return fmt.Errorf("%w %q: it must begin with a letter (a-z, A-Z)", ErrName, name)
		case !inner:
			return fmt.Errorf("%w %q: %q is not allowed; use letters, digits, '-', '_', '.' and spaces", ErrName, name, r)
		case r == ' ' && (i == len(name)-1 || name[i-1] == ' '):
			return fmt.Errorf("%w %q: spaces must be single and inside", ErrName, name)
		}
	}
	return nil
}
