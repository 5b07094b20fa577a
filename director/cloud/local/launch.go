package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"conpaas/director/cloud"
)

// Limits of what a machine may be given.
const (
	maxUserData = 256 << 10
	maxPublish  = 64
	// cleanTime is how long the removal of what a failed call made may take.
	cleanTime = time.Minute
)

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func checkToken(token string) error {
	if !tokenForm.MatchString(token) {
		return fmt.Errorf("token %q must be 1 to 128 letters, digits, '.', '_' and '-', and begin with a letter or digit", token)
	}
	return nil
}

// Launch makes a machine and lets it run its user-data.
func (c *Cloud) Launch(ctx context.Context, spec cloud.Spec) (cloud.MachineID, error) {
	ctx, call, err := c.begin(ctx, "launch")
	if err != nil {
		return "", err
	}
	id, err := c.launch(ctx, spec)
	if err = call.end(err); err != nil {
		return "", err
	}
	return id, nil
}

func (c *Cloud) launch(ctx context.Context, spec cloud.Spec) (cloud.MachineID, error) {
	if err := c.checkSpec(spec); err != nil {
		return "", err
	}
	for {
		m, fresh := c.claim(spec.Token)
		if fresh {
			return m.id, c.make(ctx, m, spec)
		}
		select {
		case <-m.made:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if m.err == nil {
			return m.id, nil
		}
		// The other call failed. What it could not remove is removed now, then this one makes its own machine.
		if err := c.terminate(ctx, m.id); err != nil {
			return "", err
		}
	}
}

// checkSpec refuses what cannot be launched, ever.
func (c *Cloud) checkSpec(spec cloud.Spec) error {
	const op = "launch"
	if err := checkToken(spec.Token); err != nil {
		return c.wrong(op, "%v", err)
	}
	switch {
	case spec.Deployment != "" && spec.Deployment != c.config.Deployment:
		return c.wrong(op, "deployment %q is not this one, %q", spec.Deployment, c.config.Deployment)
	case !strings.HasPrefix(string(spec.UserData), "#!"):
		return c.wrong(op, "the user-data of %s is no script: it must begin with #!", spec.Token)
	case len(spec.UserData) > maxUserData:
		return c.wrong(op, "the user-data of %s has %d bytes, at most %d are allowed", spec.Token, len(spec.UserData), maxUserData)
	case !c.mode.limits && c.set.runtime != RuntimeVM && (spec.MemoryMiB != 0 || spec.CPUs != 0):
		return c.wrong(op, "%d MiB of memory and %d processors cannot be kept: the director of an ordinary user has no control groups; ask for none, or run the director as root", spec.MemoryMiB, spec.CPUs)
	case spec.MemoryMiB < 0 || spec.CPUs < 0:
		return c.wrong(op, "%d MiB of memory and %d processors cannot be", spec.MemoryMiB, spec.CPUs)
	case len(spec.Publish) > maxPublish || slices.Contains(spec.Publish, 0):
		return c.wrong(op, "%d ports cannot be published; at most %d, from 1", len(spec.Publish), maxPublish)
	case spec.Size != "":
		return &cloud.Error{
			Kind: cloud.KindNotFound, Cloud: c.config.Name, Op: op,
			Text: fmt.Sprintf("size %q does not exist: a local cloud has none by name; leave it empty", spec.Size),
		}
	}
	return nil
}

// claim gives the machine of a token, a fresh one to be made by the caller where there is none.
func (c *Cloud) claim(token string) (m *machine, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, ok := c.tokens[token]; ok {
		return m, false
	}
	m = newMachine(newID(), token)
	m.busy <- struct{}{} // until it is made
	c.machines[m.id], c.tokens[token] = m, m
	return m, true
}

// make makes a claimed machine, or nothing.
func (c *Cloud) make(ctx context.Context, m *machine, spec cloud.Spec) error {
	defer m.unlock()
	defer close(m.made)
	if m.err = c.build(ctx, m, spec); m.err == nil {
		return nil
	}
	// Also when the call was cancelled, nothing is left.
	cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if err := c.vanish(cleaning, m); err != nil {
		m.err = errors.Join(m.err, fmt.Errorf("remove what was made: %w", err))
	} else if err := c.pool.Return(m.token); err != nil { // the next try has the same address
		m.err = errors.Join(m.err, err)
	}
	return m.err
}

func (c *Cloud) build(ctx context.Context, m *machine, spec cloud.Spec) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.able(ctx); err != nil {
		return err
	}
	address, err := c.pool.Take(spec.Token)
	if err != nil {
		return err
	}
	c.place("launch:address")
	if err := os.Mkdir(c.at.machine(m.id), 0o700); err != nil {
		return fmt.Errorf("make the machine's directory: %w", err)
	}
	c.place("launch:directory")
	r := record{
		ID: m.id, Token: spec.Token, Deployment: c.config.Deployment, Hostname: hostname(spec.Name, m.id), Address: address, Launched: now(),
		Runtime: c.set.runtime, Published: cloud.ImageID(spec.Image), FirstID: c.set.ids.First, MemoryMiB: c.set.memoryMiB, CPUs: c.set.cpus,
	}
	if spec.MemoryMiB > 0 {
		r.MemoryMiB = spec.MemoryMiB
	}
	if spec.CPUs > 0 {
		r.CPUs = spec.CPUs
	}
	if err := c.choose(m, r); err != nil {
		return err
	}
	c.place("launch:recorded")
	if r, err = c.kind.build(ctx, r, spec.UserData); err != nil {
		return err
	}
	r.Whole = true
	if err := errors.Join(c.live(m, r.life), c.keep(m, r)); err != nil {
		return err
	}
	c.place("launch:whole")
	for _, port := range spec.Publish {
		if _, err := c.kind.publish(ctx, m, port); err != nil {
			return err
		}
	}
	c.place("launch:published")
	t, err := c.kind.start(ctx, r)
	if err != nil {
		return err
	}
	c.place("launch:started")
	if err := c.live(m, life{HostBoot: c.hostRun, Started: true, Task: t}); err != nil {
		return err
	}
	c.watch(m, t)
	c.place("launch:done")
	return nil
}
