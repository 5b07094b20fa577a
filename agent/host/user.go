package host

import (
	"fmt"
	"os/user"
	"strconv"
)

// User is an account of the machine, as the kernel knows it. The zero User is root.
type User struct {
	UID, GID int
	Groups   []int // supplementary ones, beside GID
}

// root tells whether it is the agent's own account.
func (u User) root() bool { return u.UID == 0 && u.GID == 0 }

// User finds an account by name, with all its groups.
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
	found := User{UID: uid, GID: gid}
	groups, err := account.GroupIds()
	if err != nil {
		return User{}, fmt.Errorf("find the groups of user %s: %w", name, err)
	}
	for _, text := range groups {
		group, err := strconv.Atoi(text)
		if err != nil {
			return User{}, fmt.Errorf("user %s is in the group %q: %w", name, text, err)
		}
		if group != gid {
			found.Groups = append(found.Groups, group)
		}
	}
	return found, nil
}
