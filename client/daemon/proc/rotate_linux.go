package proc

import (
	"io"
	"os"
	"time"
)

const (
	logMax      = 10 << 20 // bytes of a log before it is rotated
	rotateEvery = 2 * time.Second
)

// Rotate moves the content of a log that has grown too large to the same name with .1 appended. The program keeps the file
// open, so that it is copied and cut: lines that are written between the two are lost. A log that cannot be rotated
// stays as it is, since its program matters more.
func Rotate(path string) {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= logMax {
		return
	}
	log, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer log.Close()
	old, err := os.OpenFile(path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return
	}
	defer old.Close()
	// A program that wrote much since the last look has its newest part kept.
	if _, err := log.Seek(max(0, info.Size()-logMax), io.SeekStart); err != nil {
		return
	}
	// The copy is bounded, or a program that writes faster than it is copied would keep it going for ever.
	if _, err := io.Copy(old, io.LimitReader(log, 2*logMax)); err != nil {
		return
	}
	_ = log.Truncate(0)
}
