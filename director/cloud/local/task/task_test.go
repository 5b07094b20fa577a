package task_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"conpaas/director/cloud/local/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a program that runs until it is killed.
func start(t *testing.T) (*exec.Cmd, task.Task) {
	t.Helper()
	c := exec.Command("/bin/sleep", "3600")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := task.Of(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// TestLife: alive, waited for, killed, dead although not reaped, reaped, and never again the same.
func TestLife(t *testing.T) {
	_, p := start(t)
	if !p.Alive() {
		t.Error("a process that runs is not alive")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a cancelled context: %v", err)
	}
	ended := make(chan error)
	go func() { ended <- p.Wait(t.Context()) }()
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := task.Read(p.PID); !errors.Is(err, task.ErrGone) {
		t.Errorf("the child was not reaped: %v", err)
	}
	if err := errors.Join(p.Kill(), p.Wait(t.Context())); err != nil || p.Alive() {
		t.Errorf("a process that is gone: %v, alive %t", err, p.Alive())
	}
}

// TestZombie: a dead process that its parent does not reap is not alive and need not be waited for.
func TestZombie(t *testing.T) {
	c := exec.Command("/bin/sh", "-c", "sleep 0 & echo $!; exec sleep 3600") // sleep does not reap its child
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer func() { _ = c.Process.Kill() }()
	var zombie int
	line := make([]byte, 16)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	for _, digit := range line[:n-1] {
		zombie = zombie*10 + int(digit-'0')
	}
	p, err := task.Of(zombie)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if s, err := task.Read(zombie); err != nil || s.State != 'Z' {
		t.Errorf("the process is no zombie: %+v, %v", s, err)
	}
	if p.Alive() {
		t.Error("a zombie is alive")
	}
}

// TestOther: a process with the right pid and another start time is another process, which is left alone.
func TestOther(t *testing.T) {
	c, p := start(t)
	other := task.Task{PID: p.PID, Start: p.Start + 1}
	if err := errors.Join(other.Kill(), other.Wait(t.Context())); err != nil || other.Alive() {
		t.Errorf("another process: %v, alive %t", err, other.Alive())
	}
	if !p.Alive() {
		t.Error("the process with the same pid was killed")
	}
	if err := c.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = c.Wait()
	for _, nobody := range []task.Task{{}, {PID: -1}, {PID: os.Getpid(), Start: 1}} {
		if err := errors.Join(nobody.Kill(), nobody.Wait(t.Context())); err != nil || nobody.Alive() {
			t.Errorf("%+v: %v, alive %t", nobody, err, nobody.Alive())
		}
	}
	if _, err := task.Of(unix.Getpid()); err != nil {
		t.Error(err)
	}
}
