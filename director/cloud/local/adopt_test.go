package local_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/runc"
	"conpaas/director/cloud/local/task"
)

// rebooted leaves of a cloud, whose director is closed, what is left when the host restarts.
func rebooted(t *testing.T, c cloud.Config, id cloud.MachineID) {
	t.Helper()
	h := newHost(t, c.Dir)
	if err := h.groups.Kill(t.Context(), "/"+h.name); err != nil {
		t.Fatal(err)
	}
	if _, err := h.groups.Remove("/" + h.name); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/run/" + h.name, c.Dir} {
		if _, err := mount.Clear(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll("/run/" + h.name); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.Dir, "machines", string(id), "life.json")); err != nil {
		t.Fatal(err)
	}
}

// TestHostRestart: after a restart of the host, when nothing is left but the files that were flushed, the machines are booted again: the same
// id, address, published port and files, and user-data runs once more.
func TestHostRestart(t *testing.T) {
	for _, kind := range []string{local.RuntimeContainer, local.RuntimeProcess} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := configuration(t, map[string]string{"RUNTIME": kind})
			l := start(t, c)
			id, err := l.Launch(t.Context(), cloud.Spec{Token: "n1-1", Publish: []uint16{80}, UserData: userData(`echo boot >> $CONPAAS_ROOT/var/lib/boots; echo boots: $(wc -l < $CONPAAS_ROOT/var/lib/boots)`)})
			if err != nil {
				t.Fatal(err)
			}
			printed(t, l, id, "boots: 1")
			before, err := l.Describe(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			at, err := l.Publish(t.Context(), id, []uint16{80})
			if err := errors.Join(err, l.Close()); err != nil {
				t.Fatal(err)
			}
			rebooted(t, c, id)
			l = start(t, c)
			printed(t, l, id, "boots: 2")
			if after, err := l.Describe(t.Context(), id); err != nil || after != before || after.State != cloud.StateRunning {
				t.Errorf("before %+v, after %+v, %v", before, after, err)
			}
			if now, err := l.Publish(t.Context(), id, []uint16{80}); err != nil || now[80] != at[80] {
				t.Errorf("published before as %v, after as %v, %v", at, now, err)
			}
		})
	}
}

// TestOrphans: what is on the host under the cloud's names and belongs to no machine is removed by Start; what is not
// the cloud's stays.
func TestOrphans(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	l := start(t, c)
	kept, lost := launch(t, l, "kept-1"), launch(t, l, "lost-1")
	h := newHost(t, c.Dir)
	process := h.first(t)[lost.ID]
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.Dir, "machines", string(lost.ID), "machine.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, "runc", "m-never"), 0o700); err != nil {
		t.Fatal(err)
	}
	other := start(t, configuration(t, nil))
	foreign := launch(t, other, "foreign-1")
	l = start(t, c)
	if process.Alive() {
		t.Error("the first process of the lost machine lives")
	}
	for _, trace := range h.traces(t) {
		if strings.Contains(trace, string(lost.ID)) || strings.Contains(trace, "m-never") {
			t.Errorf("left is %s", trace)
		}
	}
	if list, err := l.List(t.Context()); err != nil || len(list) != 1 || list[0] != kept {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if m, err := other.Describe(t.Context(), foreign.ID); err != nil || m != foreign {
		t.Errorf("the machine of another cloud was %+v and is %+v, %v", foreign, m, err)
	}
}

// killedInCreate starts a director and kills it while runc is making a container. It gives runc's commands, which live on.
func killedInCreate(t *testing.T, c cloud.Config) []task.Task {
	t.Helper()
	// A runc that stops in the middle of create, after it was given everything.
	dir := t.TempDir()
	reached := filepath.Join(dir, "reached")
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *' create '*) echo > %s; exec /bin/sh -c 'read forever < %s; exit 1' \"$0\" \"$@\";; esac\nexec /usr/sbin/runc \"$@\"\n", reached, filepath.Join(dir, "pipe"))
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o755), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	copyProgram(t, filepath.Join(dir, "script"), filepath.Join(dir, "runc"))
	text, err := json.Marshal(job{Dir: c.Dir, Options: c.Options, Work: "life", Places: filepath.Join(dir, "places")})
	if err != nil {
		t.Fatal(err)
	}
	director := exec.Command(os.Args[0])
	director.Env = append(os.Environ(), crashJob+"="+string(text), "PATH="+dir+":"+os.Getenv("PATH"))
	if err := director.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "runc create runs", func() bool {
		_, err := os.Stat(reached)
		return err == nil
	})
	commands, err := runc.Runtime{State: filepath.Join(c.Dir, "runc")}.Commands("")
	if err != nil || len(commands) == 0 {
		t.Errorf("the running commands are %v, %v", commands, err)
	}
	if err := director.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = director.Wait() // killed
	return commands
}

// TestKilledInCreate: runc's commands that outlive a killed director are ended by the next one, and by cleaning.
func TestKilledInCreate(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	ended := func(commands []task.Task) {
		t.Helper()
		for _, command := range commands {
			if command.Alive() {
				t.Errorf("the command %d of the killed director lives", command.PID)
			}
		}
	}
	commands := killedInCreate(t, c)
	l := start(t, c)
	ended(commands)
	if list, err := l.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if m := launch(t, l, "crash-1"); m.State != cloud.StateRunning {
		t.Errorf("the token gives %+v", m)
	}
	if _, err := l.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	commands = killedInCreate(t, c)
	if _, err := open(t, c).Clean(t.Context()); err != nil {
		t.Error(err)
	}
	ended(commands)
}

// TestTwoDirectors: the second one on a directory is refused, and may have it after the first.
func TestTwoDirectors(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess})
	first := start(t, c)
	second := open(t, c)
	if err := second.Start(t.Context()); cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("the second director starts: %v", err)
	}
	if err := errors.Join(first.Start(t.Context()), first.Close(), first.Close()); err != nil {
		t.Errorf("start twice and close twice: %v", err)
	}
	if _, err := first.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: userData()}); cloud.KindOf(err) != cloud.KindPermanent {
		t.Errorf("launch after close: %v", err)
	}
	if err := errors.Join(second.Start(t.Context()), second.Close()); err != nil {
		t.Error(err)
	}
}

// TestOtherSubnet: the network cannot change under machines, and can when there are none.
func TestOtherSubnet(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"SUBNET": "10.213.0.0/24"})
	l := start(t, c)
	m := launch(t, l, "n1-1")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	changed := c
	changed.Options = map[string]string{"ROOTFS": c.Options["ROOTFS"], "SUBNET": "10.214.0.0/24"}
	if err := open(t, changed).Start(t.Context()); cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "10.213.0.0/24") {
		t.Errorf("started with another network: %v", err)
	}
	l = start(t, c)
	if err := errors.Join(l.Terminate(t.Context(), m.ID), l.Close()); err != nil {
		t.Fatal(err)
	}
	l = start(t, changed)
	if m := launch(t, l, "n2-1"); !strings.HasPrefix(m.Address.String(), "10.214.0.") {
		t.Errorf("the machine has the address %s", m.Address)
	}
	if l.DirectorAddress() != "10.214.0.1:5555" || l.Listener().Addr().String() != "10.214.0.1:5555" {
		t.Errorf("the director listens on %s", l.Listener().Addr())
	}
}

// TestReap: dead processes whose parents in a machine have ended become children of the director and are reaped.
func TestReap(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess})
	l := start(t, c)
	m := launch(t, l, "n1-1", `sh -c 'sleep 0 & echo orphan $!; exec sleep 3600' &`, "echo parent $!")
	printed(t, l, m.ID, "parent")
	text := printed(t, l, m.ID, "orphan")
	var orphan, parent int
	for line := range strings.Lines(text) {
		_, _ = fmt.Sscanf(line, "orphan %d", &orphan)
		_, _ = fmt.Sscanf(line, "parent %d", &parent)
	}
	dead, err := task.Of(orphan)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the orphan is dead", func() bool { return !dead.Alive() })
	p, err := task.Of(parent)
	if err := errors.Join(err, p.Kill()); err != nil {
		t.Fatal(err)
	}
	until(t, "the director reaps it", func() bool {
		local.Reap(l)
		_, err := task.Read(orphan)
		return errors.Is(err, task.ErrGone)
	})
}
