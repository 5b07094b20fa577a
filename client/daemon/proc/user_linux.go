package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// User is whom a program runs as. The zero User is the starter's own.
type User struct {
	UID, GID int
	Groups   []int `json:",omitempty"` // beside GID; none of the starter's own are kept
}

// Start calls start, which is to start one program with the attributes, so that the program runs as the user. Of a user
// that is not the starter's own no program gets more rights than it begins with, for example by a setuid file.
func (u User) Start(attributes *syscall.SysProcAttr, start func() error) error {
	if u.UID == 0 && u.GID == 0 {
		return start()
	}
	credential := &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
	for _, g := range u.Groups {
		credential.Groups = append(credential.Groups, uint32(g))
	}
	denied, err := setgroupsDenied()
	if err != nil {
		return err
	}
	if denied && len(u.Groups) > 0 {
		return fmt.Errorf("user %d is in the groups %v, and the user namespace of this machine lets nobody choose groups; map a range of groups into it", u.UID, u.Groups)
	}
	credential.NoSetGroups = denied
	attributes.Credential = credential
	return withoutNewPrivileges(start)
}

// setgroupsDenied tells whether nobody in this user namespace may choose groups (user_namespaces(7)).
func setgroupsDenied() (bool, error) {
	text, err := os.ReadFile("/proc/self/setgroups")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find out whether groups may be chosen: %w", err)
	}
	return bytes.Equal(bytes.TrimSpace(text), []byte("deny")), nil
}

// withoutNewPrivileges calls start on a thread whose children never get new privileges. The thread ends with the
// goroutine that holds it, since what it has given up does not come back.
func withoutNewPrivileges(start func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			result <- fmt.Errorf("give up new privileges: %w", err)
			return
		}
		result <- start()
	}()
	return <-result
}
