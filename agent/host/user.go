package host

import (
	"context"
	"errors"
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

// Account finds a system account by name, and makes it where there is none: without a password, with a group of its name, at home in an absolute
// directory of the machine that need not be there.
func (h *Host) Account(ctx context.Context, name, home string) (User, error) {
	u, err := h.User(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); !unknown {
		return u, err
	}
	program, err := h.Look("useradd")
	if err != nil {
		return u, err
	}
	out, exit, err := h.Command(ctx, Command{Path: program, Args: []string{"--system", "--user-group", "--no-create-home", "--home-dir", home, "--shell", taskShell, "--", name}})
	if err != nil {
		return u, err
	}
	if exit != 0 {
		return u, fmt.Errorf("make user %s on this machine: exit status %d: %.200s", name, exit, out)
	}
	return h.User(name)
}
