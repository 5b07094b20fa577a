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

	"golang.org/x/sys/unix"
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
	return talk(ctx, path, func(t *conversation) error { return t.tell(command, nil, nil, nil) })
}

// conversation is a connection to an emulator that has greeted.
type conversation struct {
	ctx     context.Context
	conn    *net.UnixConn
	answers *json.Decoder
}

// talk connects to the emulator of the machine in a directory.
func talk(ctx context.Context, path string, f func(*conversation) error) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("talk to the emulator: %w", err)
	}
	defer dir.Close()
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	conn, err := net.DialUnix("unix", nil, at(dir))
	if err != nil {
		return fmt.Errorf("talk to the emulator: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	t := &conversation{ctx: ctx, conn: conn, answers: json.NewDecoder(conn)}
	if _, err := t.answer(); err != nil {
		return fmt.Errorf("talk to the emulator: %w", errors.Join(err, ctx.Err()))
	}
	if err := t.tell("qmp_capabilities", nil, nil, nil); err != nil {
		return err
	}
	return f(t)
}

// tell gives a command, with arguments and a file where there are some, and puts its result into out.
func (t *conversation) tell(command string, arguments, out any, file *os.File) error {
	text, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err == nil && file != nil {
		_, _, err = t.conn.WriteMsgUnix(append(text, '\n'), unix.UnixRights(int(file.Fd())), nil)
	} else if err == nil {
		_, err = t.conn.Write(append(text, '\n'))
	}
	var result json.RawMessage
	if err == nil {
		result, err = t.answer()
	}
	if err == nil && out != nil {
		err = json.Unmarshal(result, out)
	}
	if err != nil {
		return fmt.Errorf("tell the emulator %q: %w", command, errors.Join(err, t.ctx.Err()))
	}
	return nil
}

// errSaid is wrapped by what an emulator answers to a command that it refuses.
var errSaid = errors.New("it refuses")

// answer waits for the greeting or the result of a command, and leaves events aside.
func (t *conversation) answer() (json.RawMessage, error) {
	for {
		var a struct {
			QMP    json.RawMessage `json:"QMP"`
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Text string `json:"desc"`
			} `json:"error"`
		}
		if err := t.answers.Decode(&a); err != nil {
			return nil, err
		}
		if a.Error != nil {
			return nil, fmt.Errorf("%w: it says %q", errSaid, a.Error.Text)
		}
		if a.QMP != nil || a.Return != nil {
			return a.Return, nil
		}
	}
}
