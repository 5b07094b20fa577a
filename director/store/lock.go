package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock takes the data directory as Open does, without a database: for commands that must not run beside a director. It
// fails with ErrInUse while a director has the directory open.
func Lock(dir string) (release func(), err error) {
	f, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// takeLock makes sure that no second director works on the directory. The kernel lets go of the lock when the process
// ends, however it ends; the process id in the file is only for the error message.
func takeLock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		content, _ := os.ReadFile(path)
		holder := "unknown process"
		if pid, err := strconv.Atoi(strings.TrimSpace(string(content))); err == nil {
			holder = fmt.Sprintf("process %d", pid)
		}
		return nil, errors.Join(fmt.Errorf("%w: another director (%s) runs on %s; stop it first", ErrInUse, holder, dir), f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
