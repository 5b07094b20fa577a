package join

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"conpaas/client/wire"
)

// BootID gives a random text that stays the same until the machine boots again. It is kept in runDir/boot-id with a mark
// of this boot, since the run directory of a container may outlive its PID 1.
func BootID(runDir string) (string, error) { return bootID(runDir, bootMark()) }

func bootID(runDir, mark string) (string, error) {
	path := filepath.Join(runDir, "boot-id")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	if id, rest, ok := strings.Cut(string(text), "\n"); ok && id != "" && rest == mark {
		return id, nil
	}
	id := rand.Text()
	if err := errors.Join(os.MkdirAll(runDir, 0o755), wire.ReplaceFile(path, []byte(id+"\n"+mark))); err != nil {
		return "", fmt.Errorf("keep the boot id: %w", err)
	}
	return id, nil
}

// bootMark gives a text that differs between two boots: the kernel's id of its boot, and the start time of PID 1, which
// differs between two boots of a container on one kernel. Where /proc has neither it is "".
func bootMark() string {
	kernel, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	stat, err := os.ReadFile("/proc/1/stat")
	if err != nil {
		return strings.TrimSpace(string(kernel))
	}
	// proc(5): after the name in parentheses, which may hold anything, start time is the 20th field.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return strings.TrimSpace(string(kernel))
	}
	return strings.TrimSpace(string(kernel)) + " " + fields[19]
}
