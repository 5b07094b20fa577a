package mysql

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"conpaas/agent/host"
	"conpaas/client/api"
)

// A server needs room to start, for the files that it makes anew and to write down what it had begun before it was killed; on a
// full volume it waits for that for ever. So a file keeps some while it runs, which its launcher gives back before it starts it.
const (
	reserveFile = "reserve" // on the volume, in a directory of root's, so that it can be no link
	reserveSize = 32 << 20
	reserveFree = 4 << 20 // is left beside it for programs that clean up
)

// fullBelow is how many free bytes make a volume full: files of data grow by half as many at a time.
const fullBelow = 16 << 20

// takeReserve makes the file that keeps room for the next start, as large as there is room now.
func takeReserve(h *host.Host, p paths) error {
	now, err := h.State().Size(p.volume + "/" + reserveFile)
	if err == nil && now == reserveSize || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	free, _, err := space(h, p)
	if err != nil {
		return err
	}
	size := min(reserveSize, now+(free-reserveFree)&^(1<<20-1))
	if size <= now {
		return nil
	}
	file, err := h.State().OpenFile(p.volume+"/"+reserveFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = file.Chown(p.user.UID, p.user.GID)
	if err == nil {
		err = unix.Fallocate(int(file.Fd()), 0, 0, size)
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSPC) { // a file system without this, or somebody was faster
		err = nil
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("keep room for the next start of the database: %w", err)
	}
	return nil
}

// giveReserve gives the room back.
func giveReserve(path string) error {
	if err := os.Truncate(path, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give back the room for the start of the database: %w", err)
	}
	return nil
}

// space gives the bytes that the volume has left for data, and how many it has.
func space(h *host.Host, p paths) (free, all int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(h.State().Path(p.volume), &s); err != nil {
		return 0, 0, fmt.Errorf("find out how full the volume is: %w", err)
	}
	return int64(s.Bavail) * s.Bsize, int64(s.Blocks) * s.Bsize, nil
}

// room tells how much the volume has left, and the reason where that is too little; a server that runs goes on and answers.
func room(h *host.Host, p paths, f *api.MySQLFacts) (reason string, err error) {
	free, all, err := space(h, p)
	if err != nil {
		return "", err
	}
	f.Free, f.Full = free, free < fullBelow
	if f.Full {
		reason = fmt.Sprintf("its volume is full, %d of %d MiB are left: changes that need more are refused; drop or truncate tables, or move to larger volumes", free>>20, all>>20)
	}
	return reason, nil
}
