package host

import (
	"fmt"
	"os/user"
	"strconv"
)

// User is an account of the machine, as the kernel knows it. The zero User is root.
type User struct {
	UID, GID int
}

// User finds an account by name.
func (h *Host) User(name string) (User, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return User{}, fmt.Errorf("find user %s on this machine: %w", name, err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return User{}, fmt.Errorf("user %s has the uid %q: %w", name, account.Uid, err)
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return User{}, fmt.Errorf("user %s has the gid %q: %w", name, account.Gid, err)
	}
	return User{UID: uid, GID: gid}, nil
}
