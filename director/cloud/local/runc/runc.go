// Package runc runs containers by the program runc: their OCI configuration, and the two commands that begin a life.
//
// The end of a container is not runc's: its processes are ended by their control group. The package knows nothing of
// clouds, networks or images.
package runc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"conpaas/director/cloud/local/task"
)

// ErrMissing says that the program is not installed.
var ErrMissing = errors.New("runc is not installed; apt-get install runc")

// ErrRefused is wrapped by errors that runc gave a reason for, such as a program that the image lacks.
var ErrRefused = errors.New("runc refuses")

// Program gives the path of runc and its first line of version.
func Program(ctx context.Context) (path, version string, err error) {
	path, err = exec.LookPath("runc")
	if err != nil {
		return "", "", ErrMissing
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("%s --version: %w", path, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return path, first, nil
}

// Runtime is runc with a state directory of its own, so that other users of runc see nothing of these containers.
type Runtime struct{ State string }

// Create makes a container of a bundle (a directory with config.json) and gives its first process, which waits
// for Start. The console gets the output of runc and of the container; it is kept open by the container.
func (r Runtime) Create(ctx context.Context, id, bundle string, console *os.File) (task.Task, error) {
	pidFile := filepath.Join(bundle, "pid")
	err := r.run(ctx, bundle, console, "create", "--bundle", bundle, "--pid-file", pidFile, id)
	if err != nil {
		return task.Task{}, fmt.Errorf("create container %s: %w", id, err)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return task.Task{}, fmt.Errorf("create container %s: %w", id, err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return task.Task{}, fmt.Errorf("create container %s: read its pid: %w", id, err)
	}
	return task.Of(pid)
}

// Start lets the first process of a created container run its program.
func (r Runtime) Start(ctx context.Context, id, bundle string, console *os.File) error {
	if err := r.run(ctx, bundle, console, "start", id); err != nil {
		return fmt.Errorf("start container %s: %w", id, err)
	}
	return nil
}

// commandTime is the limit of one command; it takes milliseconds, or hangs.
const commandTime = time.Minute

// run runs one command. Its output is a file: the container inherits it, so a pipe would stay open.
func (r Runtime) run(ctx context.Context, bundle string, console *os.File, args ...string) error {
	path, err := exec.LookPath("runc")
	if err != nil {
		return ErrMissing
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	log := filepath.Join(bundle, "runc.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	c := exec.CommandContext(ctx, path, slices.Concat([]string{"--root", r.State, "--log", log, "--log-format", "json"}, args)...)
	c.Dir, c.Stdout, c.Stderr = bundle, console, console
	c.Env = []string{"PATH=" + os.Getenv("PATH")}
	err = c.Run()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if said := lastWords(log); said != "" {
			return fmt.Errorf("%w: %s (%w)", ErrRefused, said, err)
		}
		return fmt.Errorf("runc: %w", err)
	}
	return nil
}

// lastWords gives the last error of a log of runc.
func lastWords(log string) string {
	text, _ := os.ReadFile(log) // without it there are no words
	said := ""
	for line := range bytes.Lines(text) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(line, &entry) == nil && entry.Level == "error" {
			said = entry.Msg
		}
	}
	return said
}

// Commands gives the running runc commands for a container, or for any container of this runtime where id is "". They
// outlive a director that is killed.
func (r Runtime) Commands(id string) ([]task.Task, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var found []task.Task
	for _, file := range dirs {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		args := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
		at := slices.Index(args, "--root")
		if at < 0 || at+1 >= len(args) || args[at+1] != r.State || id != "" && !slices.Contains(args, id) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, fmt.Errorf("find the commands of runc: %w", err)
		}
		if t, err := task.Of(pid); err == nil {
			found = append(found, t)
		}
	}
	return found, nil
}

// Stop ends the running commands for a container, or all where id is "", and waits for their end.
func (r Runtime) Stop(ctx context.Context, id string) error {
	commands, err := r.Commands(id)
	if err != nil {
		return err
	}
	for _, c := range commands {
		if err := errors.Join(c.Kill(), c.Wait(ctx)); err != nil {
			return fmt.Errorf("end a runc command for %q: %w", id, err)
		}
	}
	return nil
}

// First gives the first process of a container, or of every container where id is "", as far as they live. Runc notes it
// before it lets that process do anything that would outlive runc.
func (r Runtime) First(id string) ([]task.Task, error) {
	if id == "" {
		id = "*"
	}
	files, err := filepath.Glob(filepath.Join(r.State, id, "state.json"))
	if err != nil {
		return nil, err
	}
	var found []task.Task
	for _, file := range files {
		var state struct {
			PID   int    `json:"init_process_pid"`
			Start uint64 `json:"init_process_start"`
		}
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // it was forgotten meanwhile
		}
		if err == nil {
			err = json.Unmarshal(text, &state)
		}
		if err != nil {
			return nil, fmt.Errorf("find the first process of a container: %w", err)
		}
		if t := (task.Task{PID: state.PID, Start: state.Start}); t.Alive() {
			found = append(found, t)
		}
	}
	return found, nil
}

// Created tells whether a container was created and has not been started.
func (r Runtime) Created(id string) bool {
	_, err := os.Stat(filepath.Join(r.State, id, "exec.fifo"))
	return err == nil
}

// Forget removes what runc remembers of a container whose processes have ended.
func (r Runtime) Forget(id string) error {
	if err := os.RemoveAll(filepath.Join(r.State, id)); err != nil {
		return fmt.Errorf("forget container %s: %w", id, err)
	}
	return nil
}
