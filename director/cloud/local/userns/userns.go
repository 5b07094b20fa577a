// Package userns gives the program of an ordinary user a user namespace in which it is root, with a mount namespace, and
// keeps both alive when the program ends.
//
// What keeps them is the holder: a process that sleeps. It has a lock on a file, so that the lock tells whether it lives,
// and its pid is in that file. A program enters by becoming nsenter, because a program with several threads cannot; so
// its pid stays what it was. The host's network is never left: 127.0.0.1 is the host's.
//
// The package knows nothing of clouds and machines.
package userns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/task"
)

// variable is the environment variable that tells a program that Enter has brought it into a namespace.
const variable = "CONPAAS_NAMESPACE"

// Place is the namespace that a program is in.
type Place struct {
	User   string    `json:"user"`   // names the user namespace, as /proc/self/ns/user does
	Holder task.Task `json:"holder"` // keeps it alive
	File   string    `json:"file"`   // which the holder has locked
}

// Inside gives the place to which Enter has brought this program; false where it has not.
func Inside() (Place, bool) {
	var p Place
	if json.Unmarshal([]byte(os.Getenv(variable)), &p) != nil {
		return Place{}, false
	}
	user, err := os.Readlink("/proc/self/ns/user")
	return p, err == nil && user == p.User // a variable that was merely inherited names another namespace
}

// Ordinary tells whether this program was started by an ordinary user, whom Enter may have made root of a namespace.
func Ordinary() bool {
	_, inside := Inside()
	return inside || os.Geteuid() != 0
}

// Enter replaces this program by itself inside the namespaces that belong to a directory, which are made where nobody
// holds them. Inside, and for root, it returns nil at once. An error names what the host lacks.
func Enter(ctx context.Context, dir string) error {
	if _, inside := Inside(); inside || !Ordinary() {
		return nil
	}
	for _, c := range Checks(ctx) {
		if !c.OK {
			return fmt.Errorf("enter a user namespace: %s: %s", c.Name, c.Detail)
		}
	}
	p := Place{File: filepath.Join(dir, "namespace")}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		p.Holder, err = held(p.File)
	}
	if errors.Is(err, task.ErrGone) {
		p.Holder, err = hold(ctx, p.File)
	}
	if err == nil {
		p.User, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/user", p.Holder.PID))
	}
	if err != nil {
		return fmt.Errorf("enter a user namespace: %w", err)
	}
	return p.become()
}

// become replaces this program by itself inside.
func (p Place) become() error {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return fmt.Errorf("enter a user namespace: %w; apt-get install util-linux", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("enter a user namespace: %w", err)
	}
	here, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("enter a user namespace: %w", err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("enter a user namespace: %w", err)
	}
	args := append([]string{"nsenter", "--target", strconv.Itoa(p.Holder.PID), "--user", "--mount", "--wdns=" + here, "--", self}, os.Args[1:]...)
	return fmt.Errorf("enter a user namespace: %w", syscall.Exec(nsenter, args, append(os.Environ(), variable+"="+string(text))))
}

// held gives the process that has locked the file, or task.ErrGone.
func held(path string) (task.Task, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return task.Task{}, err
	}
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return task.Task{}, task.ErrGone // closing gives the lock back
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return task.Task{}, fmt.Errorf("lock %s: %w", path, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return task.Task{}, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return task.Task{}, fmt.Errorf("another director is just starting: %s names no process yet", path)
	}
	return task.Of(pid)
}

// sleeper is the holder: it notes its pid in $1 and closes its output, which says that it is ready.
const sleeper = `echo $$ >"$1" && exec sleep infinity </dev/null >/dev/null 2>&1`

// hold starts a holder with new namespaces and gives it when it is ready. It has a session of its own, so that it ends
// neither with the terminal nor by Ctrl-C.
func hold(ctx context.Context, file string) (task.Task, error) {
	c := exec.CommandContext(context.WithoutCancel(ctx), "unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--propagation", "slave", "--",
		"flock", "--nonblock", "--no-fork", file, "/bin/sh", "-c", sleeper, "sh", file)
	c.Dir, c.Env = "/", []string{"PATH=" + os.Getenv("PATH")}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	read, write, err := os.Pipe()
	if err != nil {
		return task.Task{}, err
	}
	defer read.Close()
	c.Stdout, c.Stderr = write, write
	err = c.Start()
	_ = write.Close()
	if err != nil {
		return task.Task{}, err
	}
	said := make([]byte, 1<<10)
	n, _ := read.Read(said) // nothing but the end, where all is well
	t, err := held(file)
	if err != nil || t.PID != c.Process.Pid {
		return t, errors.Join(fmt.Errorf("unshare: %s", strings.TrimSpace(string(said[:n]))), err, c.Process.Kill(), ended(c))
	}
	return t, c.Process.Release()
}

// ended waits for a process whose exit code says nothing.
func ended(c *exec.Cmd) error {
	if _, failed := errors.AsType[*exec.ExitError](c.Wait()); !failed {
		return errors.New("the holder ended")
	}
	return nil
}
