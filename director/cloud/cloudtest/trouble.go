package cloudtest

import (
	"context"
	"testing"
	"time"

	"conpaas/director/cloud"
)

// tokenRequired: a machine that could never be found again is not launched.
func (s *suite) tokenRequired(t *testing.T) {
	p := s.open(t)
	spec := s.spec(1)
	spec.Token = ""
	if _, err := p.Launch(t.Context(), spec); s.wrong(t, err) != cloud.KindPermanent {
		t.Errorf("launch without a token: %v, want an error of kind %s", err, cloud.KindPermanent)
	}
	if list := s.listed(t, p); len(list) != 0 {
		t.Errorf("launch without a token made %v", list)
	}
}

// unknownMachine: describing it says not found, terminating it succeeds.
func (s *suite) unknownMachine(t *testing.T) {
	p := s.open(t)
	const id = "no-such-machine"
	if m, err := p.Describe(t.Context(), id); err != nil && s.wrong(t, err) != cloud.KindNotFound || err == nil && m.State != cloud.StateGone {
		t.Errorf("describe of an unknown machine: %+v, %v", m, err)
	}
	if err := p.Terminate(t.Context(), id); err != nil {
		t.Errorf("terminate of an unknown machine: %v", err)
	}
}

// terminateRepeated: a second terminate succeeds and other machines live on.
func (s *suite) terminateRepeated(t *testing.T) {
	p := s.open(t)
	first, second := s.launch(t, p, 1), s.launch(t, p, 2)
	s.running(t, p, first)
	s.running(t, p, second)
	s.terminate(t, p, first)
	if err := p.Terminate(t.Context(), first); err != nil {
		t.Errorf("second terminate: %v", err)
	}
	if m := s.running(t, p, second); m.Token != s.token(2) {
		t.Errorf("the other machine is now %+v", m)
	}
}

// cancelledCalls: a call with a cancelled context says so, as an error that may pass, and a list is never empty then.
func (s *suite) cancelledCalls(t *testing.T) {
	p := s.open(t)
	id := s.launch(t, p, 1)
	s.running(t, p, id)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, launch := p.Launch(ctx, s.spec(2))
	_, describe := p.Describe(ctx, id)
	_, list := p.List(ctx)
	for op, err := range map[string]error{"launch": launch, "describe": describe, "list": list, "terminate": p.Terminate(ctx, id)} {
		if err == nil || s.wrong(t, err) != cloud.KindTransient {
			t.Errorf("cancelled %s: %v, want an error of kind %s", op, err, cloud.KindTransient)
		}
	}
	if m := s.running(t, p, id); m.ID != id {
		t.Errorf("after cancelled calls: %+v", m)
	}
}

// cancelledLaunch: whenever a launch is cancelled, its token finds what it made, and only that.
func (s *suite) cancelledLaunch(t *testing.T) {
	p := s.open(t)
	for n := range several {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*5*time.Millisecond)
		_, err := p.Launch(ctx, s.spec(n))
		cancel()
		if err != nil {
			s.wrong(t, err)
		}
		id := s.launch(t, p, n)
		s.running(t, p, id)
		s.until(t, "exactly the machines asked for are listed", func(context.Context) bool {
			list := s.listed(t, p)
			return len(list) == n+1 && list[s.token(n)].ID == id
		})
	}
}
