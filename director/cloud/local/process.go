package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/task"
)

// processes is the runtime process: a machine is a session of processes in a control group, with a directory and an
// address of 127.0.0.0/8. Nothing keeps it from the rest of the host.
type processes struct{ cloud *Cloud }

// boot joins the control group ($1), notes the pid ($2), says so on descriptor 3 and becomes the machine's program.
const boot = `echo $$ > "$1/cgroup.procs" && echo $$ > "$2" && echo joined >&3 && exec 3>&- && exec /bin/sh "$3"`

func (k *processes) up(context.Context, []record) error { return nil }

func (k *processes) down() error { return nil }

func (k *processes) prepare(context.Context) {}

// root is what the machine takes for its root directory, CONPAAS_ROOT.
func (k *processes) root(id cloud.MachineID) string {
	return filepath.Join(k.cloud.at.machine(id), "root")
}

func (k *processes) pidFile(id cloud.MachineID) string {
	return filepath.Join(k.cloud.at.machine(id), "pid")
}

// build writes the program.
func (k *processes) build(_ context.Context, r record, program []byte) (record, error) {
	path := filepath.Join(k.root(r.ID), userData)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return r, fmt.Errorf("make the machine's root: %w", err)
	}
	if program != nil {
		if err := os.WriteFile(path, program, 0o600); err != nil {
			return r, fmt.Errorf("write user-data: %w", err)
		}
		k.cloud.place("launch:files")
	}
	if err := os.Remove(k.pidFile(r.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, fmt.Errorf("forget the machine's last process: %w", err)
	}
	r.life = life{HostBoot: k.cloud.hostRun}
	return r, nil
}

// begun gives the process that start made, where it runs.
func (k *processes) begun(id cloud.MachineID) (task.Task, bool) {
	text, err := os.ReadFile(k.pidFile(id))
	if err != nil {
		return task.Task{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return task.Task{}, false
	}
	t, err := task.Of(pid)
	return t, err == nil && t.Alive() && k.cloud.groups.Member(pid, k.cloud.at.group(id))
}

// start starts the program unless it runs.
func (k *processes) start(ctx context.Context, r record) (task.Task, error) {
	if t, ok := k.begun(r.ID); ok {
		return t, nil
	}
	group, err := k.cloud.groups.Make(k.cloud.at.group(r.ID))
	if err != nil {
		return task.Task{}, err
	}
	console, err := openConsole(k.cloud.at.console(r.ID))
	if err != nil {
		return task.Task{}, err
	}
	defer console.Close()
	told, tell, err := os.Pipe()
	if err != nil {
		return task.Task{}, fmt.Errorf("start machine %s: %w", r.ID, err)
	}
	defer told.Close()
	root := k.root(r.ID)
	c := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", boot, // it outlives the call
		"sh", group, k.pidFile(r.ID), filepath.Join(root, userData))
	c.Dir, c.Stdout, c.Stderr, c.ExtraFiles = root, console, console, []*os.File{tell}
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root, "CONPAAS_ROOT=" + root, "CONPAAS_LISTEN=" + r.Address.String(), "CONPAAS_CODE=" + k.cloud.config.Code}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = c.Start()
	_ = tell.Close()
	if err != nil {
		return task.Task{}, fmt.Errorf("start machine %s: %w", r.ID, err)
	}
	t, err := task.Of(c.Process.Pid)
	if err = errors.Join(err, c.Process.Release()); err != nil { // the watcher reaps it
		return t, fmt.Errorf("start machine %s: %w", r.ID, err)
	}
	if word, err := io.ReadAll(told); err != nil || string(word) != "joined\n" {
		return t, fmt.Errorf("start machine %s: it did not join its control group %s; its console tells why (%w)", r.ID, group, errors.Join(err, t.Kill()))
	}
	return t, nil
}

func (k *processes) connect(record) error { return nil }

func (k *processes) release(context.Context, cloud.MachineID) error { return nil }

func (k *processes) remove(record) error { return nil }

// publish has nothing to do: the address of a machine is one of the host.
func (k *processes) publish(_ context.Context, m *machine, port uint16) (string, error) {
	return net.JoinHostPort(m.now.Load().Address.String(), fmt.Sprint(port)), nil
}

func (k *processes) unpublish(context.Context, cloud.MachineID) error { return nil }

func (k *processes) republish(context.Context) {}

func (k *processes) keep(context.Context) {}
