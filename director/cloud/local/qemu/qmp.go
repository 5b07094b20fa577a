package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// commandTime is the limit of a command to a machine, its emulator's start included.
const commandTime = 30 * time.Second

// at gives the address of the socket in a machine's directory, however long the directory's name is.
func at(dir *os.File) *net.UnixAddr {
	return &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socket)}
}

// Listen makes the socket for commands in a machine's directory. The file is the emulator's.
func Listen(path string) (*os.File, error) {
	if err := os.Remove(filepath.Join(path, socket)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make the socket of a machine: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("make the socket of a machine: %w", err)
	}
	defer dir.Close()
	l, err := net.ListenUnix("unix", at(dir))
	if err != nil {
		return nil, fmt.Errorf("make the socket of a machine: %w", err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	return l.File()
}

// Tell gives a command without arguments (QMP: query-status, cont, …) to the emulator of the machine in a directory.
func Tell(ctx context.Context, path, command string) error {
	if err := tell(ctx, path, command); err != nil {
		return fmt.Errorf("tell the emulator %q: %w", command, err)
	}
	return nil
}

func tell(ctx context.Context, path, command string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	conn, err := net.DialUnix("unix", nil, at(dir))
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answers := json.NewDecoder(conn)
	for _, c := range []string{"", "qmp_capabilities", command} { // it greets first
		if c != "" {
			if err := json.NewEncoder(conn).Encode(map[string]string{"execute": c}); err != nil {
				return errors.Join(err, ctx.Err())
			}
		}
		if err := answer(answers); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}

// answer waits for the greeting or the result of a command, and leaves events aside.
func answer(from *json.Decoder) error {
	for {
		var a struct {
			QMP    json.RawMessage `json:"QMP"`
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Text string `json:"desc"`
			} `json:"error"`
		}
		if err := from.Decode(&a); err != nil {
			return err
		}
		if a.Error != nil {
			return fmt.Errorf("it says %q", a.Error.Text)
		}
		if a.QMP != nil || a.Return != nil {
			return nil
		}
	}
}
