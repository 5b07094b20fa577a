package proc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon"
)

// Spec is a program as it is to run.
type Spec struct {
	Name string   // for logs
	Path string   // of the program; it is not searched for
	Args []string // without the program's own name
	Env  []string // its whole environment, as NAME=value
	Dir  string   // "": /
	Log  string   // file that gets its output, 10 MiB beside an older one with .1 appended; "": nowhere; Inherit: see there
	User User
	// Files are open files that the program gets as descriptors from 3 on, for example sockets of another network namespace.
	// The starter keeps its own. They do not count for Matches.
	Files []*os.File `json:"-"`
}

// Inherit as a Log gives a program the starter's own standard output and error.
const Inherit = "-"

// hash tells specs apart.
func (s Spec) hash() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a struct of strings and numbers always encodes
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Start starts a program in a session of its own and keeps in stateFile, whose directory must exist, how to find it again.
// What is left of the session of an earlier program of the same file is killed first: its workers might hold ports and
// serve old code. Where that program itself is alive the error wraps ErrRunning.
func Start(stateFile string, s Spec) (*Process, error) {
	if err := clearAway(context.Background(), stateFile); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	kept := state{BootID: boot, Mark: rand.Text(), Spec: s.hash(), LogFile: s.Log}
	if err := kept.write(stateFile); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	p, err := s.launch(kept)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, errors.Join(err, os.Remove(stateFile)))
	}
	p.stateFile = stateFile
	p.watch()
	if err := p.state.write(stateFile); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), leftoverTime)
		defer cancel()
		err = errors.Join(err, p.KillSession(ctx, 0))
		p.Release()
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return p, nil
}

// launch starts the program itself.
func (s Spec) launch(kept state) (*Process, error) {
	files, closeFiles, err := s.files()
	if err != nil {
		return nil, err
	}
	defer closeFiles()
	handle := -1
	attributes := &syscall.SysProcAttr{Setsid: true, PidFD: &handle}
	dir := s.Dir
	if dir == "" {
		dir = "/"
	}
	var started *os.Process
	err = s.User.Start(attributes, func() (err error) {
		started, err = os.StartProcess(s.Path, append([]string{s.Path}, s.Args...), &os.ProcAttr{
			Dir: dir, Env: append(unmarked(s.Env), markName+"="+kept.Mark), Sys: attributes, Files: append(files, s.Files...),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	kept.PID = started.Pid
	p := &Process{state: kept, child: true, done: make(chan struct{})}
	if err := errors.Join(started.Release(), p.hold(handle)); err != nil {
		err = errors.Join(err, unix.Kill(p.state.PID, unix.SIGKILL)) // it is not reaped yet, so that the id is its own
		p.reap()
		return nil, err
	}
	return p, nil
}

// files opens standard input, output and error, and gives how to close them again.
func (s Spec) files() ([]*os.File, func(), error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	switch s.Log {
	case "":
		return []*os.File{null, null, null}, func() { null.Close() }, nil
	case Inherit:
		return []*os.File{null, os.Stdout, os.Stderr}, func() { null.Close() }, nil
	}
	Rotate(s.Log)
	// Without O_APPEND a program would go on at its old place in a log that was cut.
	output, err := os.OpenFile(s.Log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		null.Close()
		return nil, nil, err
	}
	return []*os.File{null, output, output}, func() { null.Close(); output.Close() }, nil
}

// hold completes what is known of a process that has just been started.
func (p *Process) hold(handle int) error {
	if handle < 0 {
		return errors.New("the kernel has no pidfd; Linux 5.4 or later is needed")
	}
	if err := unix.SetNonblock(handle, true); err != nil {
		return err
	}
	now, err := readStat(p.state.PID)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return err
	}
	// Under a PID 1 that reaps, a program that has ended at once is not there any more: then its start is 0, that of none.
	p.state.Start, p.handle = now.start, os.NewFile(uintptr(handle), "pidfd")
	return nil
}

// unmarked is an environment without the mark of the program that starts this one.
func unmarked(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, markName+"=") })
}

func (s state) write(path string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return daemon.WriteVolatile(path, append(text, '\n'), 0o600) // no process outlives a loss of power
}
