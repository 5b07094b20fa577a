// Package cloudtest is the conformance suite of clouds: what cloud.Provider promises, asked of a real provider.
//
// A driver's own test is a call of Run. The suite knows package cloud and nothing of any single cloud, so it also runs
// against real clouds and against servers that imitate them.
package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/cloud"
)

// Greeting is what the default user-data prints when the machine boots.
const Greeting = "conpaas machine booted"

// Options says what is special about the cloud under test.
type Options struct {
	// Reopen gives another provider for the same cloud, as after a restart of the director; p is ended by it. Nil
	// for a provider that keeps nothing in memory and nothing on disk: then p itself goes on.
	Reopen func(t *testing.T, p cloud.Provider) cloud.Provider
	// UserData replaces the default program, which prints Greeting and then waits for ever.
	UserData []byte
	// Size and Image are put into every Spec.
	Size, Image string
	// NoImages says that the provider lacks the ability cloud.Images. It is an error to say it wrongly, or not to say it.
	NoImages bool
	// NoVolumes says so of cloud.Volumes. NoVolumeProgram says that machines do not run a shell script that is their user-data, or
	// that the cloud does not mount volumes, or has no cloud.Console: then nobody looks into them.
	NoVolumes, NoVolumeProgram bool
	// Stubborn says that nothing in a machine lets go of a volume: until the machine ends, DetachVolume is KindInUse.
	Stubborn bool
	// BootImage gives the content of an image that a machine can be launched from; nil where there is none. ImageFormat
	// (default rootfs) and Architecture (default amd64) are those of all images that are added.
	BootImage    func(t *testing.T) []byte
	ImageFormat  api.ImageFormat
	Architecture string
	// Wait is how long a machine may take to change its state; 30 s when zero.
	Wait time.Duration
	// Poll is the time between two looks at a machine; 10 ms when zero.
	Poll time.Duration
	// Secrets are the credentials in the provider's configuration, which no error and no check may show.
	Secrets []string
	// Names starts every token, so that suites may share a real cloud; "node" when empty.
	Names string
}

// suite is one run of the rules.
type suite struct {
	Options
	open func(t *testing.T) cloud.Provider
}

// newSuite completes the options.
func newSuite(open func(t *testing.T) cloud.Provider, o Options) *suite {
	if o.Wait == 0 {
		o.Wait = 30 * time.Second
	}
	if o.Poll == 0 {
		o.Poll = 10 * time.Millisecond
	}
	if o.Names == "" {
		o.Names = "node"
	}
	if o.UserData == nil {
		o.UserData = []byte("#!/bin/sh\necho " + Greeting + "\ntrap 'exit 0' TERM\nwhile :; do sleep 3600 & wait; done\n")
	}
	return &suite{Options: o, open: open}
}

// Run holds a cloud to the rules. Each call of open gives a ready provider (a cloud.Host is started) on a cloud without
// machines and registers its removal with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) cloud.Provider, o Options) {
	s := newSuite(open, o)
	for _, rule := range []struct {
		name  string
		check func(t *testing.T)
	}{
		{"check explains itself", s.checkExplains},
		{"empty cloud", s.emptyCloud},
		{"life of a machine", s.life},
		{"same token same machine", s.sameToken},
		{"same token at the same time", s.sameTokenAtOnce},
		{"many machines at the same time", s.manyAtOnce},
		{"token required", s.tokenRequired},
		{"unknown machine", s.unknownMachine},
		{"terminate repeated", s.terminateRepeated},
		{"cancelled calls", s.cancelledCalls},
		{"cancelled launch leaves no orphan", s.cancelledLaunch},
		{"restart", s.restart},
		{"console", s.console},
		{"publish", s.publish},
	} {
		t.Run(rule.name, rule.check)
	}
	RunImages(t, open, o)
	RunVolumes(t, open, o)
}

// token makes the token of the n-th machine of a rule.
func (s *suite) token(n int) string { return fmt.Sprintf("%s%d-1", s.Names, n) }

// spec makes the n-th machine of a rule.
func (s *suite) spec(n int) cloud.Spec {
	return cloud.Spec{
		Token: s.token(n), Name: fmt.Sprintf("%s%d", s.Names, n), UserData: s.UserData, Size: s.Size, Image: s.Image,
	}
}

// launch launches the n-th machine of a rule.
func (s *suite) launch(t *testing.T, p cloud.Provider, n int) cloud.MachineID {
	t.Helper()
	id, err := p.Launch(t.Context(), s.spec(n))
	s.noSecret(t, fmt.Sprint(err))
	if err != nil {
		t.Fatalf("launch %s: %v", s.token(n), err)
	}
	if id == "" {
		t.Fatalf("launch %s gave an empty id", s.token(n))
	}
	return id
}

// running waits until the machine runs and has an address.
func (s *suite) running(t *testing.T, p cloud.Provider, id cloud.MachineID) cloud.Machine {
	t.Helper()
	var m cloud.Machine
	s.until(t, fmt.Sprintf("machine %s runs and has an address", id), func(ctx context.Context) bool {
		var err error
		if m, err = p.Describe(ctx, id); err != nil {
			return s.passing(t, err)
		}
		return m.State == cloud.StateRunning && m.Address.IsValid()
	})
	return m
}

// listed gives the machines of the list by token and refuses two with the same token.
func (s *suite) listed(t *testing.T, p cloud.Provider) map[string]cloud.Machine {
	t.Helper()
	list, err := p.List(t.Context())
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	byToken := map[string]cloud.Machine{}
	for _, m := range list {
		if m.State == cloud.StateGone {
			continue
		}
		if other, twice := byToken[m.Token]; twice {
			t.Fatalf("machines %s and %s have the same token %s", m.ID, other.ID, m.Token)
		}
		byToken[m.Token] = m
	}
	return byToken
}

// until looks until the condition holds, or ends the test.
func (s *suite) until(t *testing.T, what string, condition func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Wait)
	defer cancel()
	tick := time.NewTicker(s.Poll)
	defer tick.Stop()
	for !condition(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain until %s", s.Wait, what)
		}
	}
}

// passing is for errors met while waiting: one that may pass gives false, any other ends the test.
func (s *suite) passing(t *testing.T, err error) bool {
	t.Helper()
	s.noSecret(t, err.Error())
	if !cloud.KindOf(err).Retry() && cloud.KindOf(err) != cloud.KindNotFound {
		t.Fatal(err)
	}
	return false
}

// wrong checks the form of an error and gives its kind.
func (s *suite) wrong(t *testing.T, err error) cloud.Kind {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	e, ok := errors.AsType[*cloud.Error](err)
	if !ok {
		t.Fatalf("error %q is no *cloud.Error", err)
	}
	if e.Cloud == "" || e.Op == "" || e.Kind == "" || e.Text == "" && e.Err == nil {
		t.Errorf("error %#v does not say its cloud, its operation, its kind and what happened", e)
	}
	s.noSecret(t, err.Error())
	return e.Kind
}

// noSecret looks for credentials in a text.
func (s *suite) noSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range s.Secrets {
		if strings.Contains(text, secret) {
			t.Error("a credential is shown in a text of the cloud")
		}
	}
}

// checkExplains: every finding has a name and words, and a good cloud has at least one finding and no bad one.
func (s *suite) checkExplains(t *testing.T) {
	checks := s.open(t).Check(t.Context())
	if len(checks) == 0 {
		t.Error("check found nothing, not even something good")
	}
	seen := map[string]api.Check{}
	for _, c := range checks {
		s.noSecret(t, c.Name+c.Detail)
		if _, twice := seen[c.Name]; twice || c.Name == "" || c.Detail == "" {
			t.Errorf("check %+v has no name of its own or no detail", c)
		}
		if !c.OK {
			t.Errorf("check of a good cloud: %s: %s", c.Name, c.Detail)
		}
		seen[c.Name] = c
	}
}
