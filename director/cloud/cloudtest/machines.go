package cloudtest

import (
	"context"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"conpaas/director/cloud"
)

// several is how many machines or callers the rules about simultaneous calls use.
const several = 4

// emptyCloud: a list without machines is no error.
func (s *suite) emptyCloud(t *testing.T) {
	if list := s.listed(t, s.open(t)); len(list) != 0 {
		t.Errorf("a new cloud lists %v", list)
	}
}

// life: launched, running with an address, listed with token and launch time, terminated, no longer listed.
func (s *suite) life(t *testing.T) {
	p := s.open(t)
	before := time.Now().Add(-time.Minute)
	id := s.launch(t, p, 1)
	m := s.running(t, p, id)
	if m.ID != id || m.Token != s.token(1) {
		t.Errorf("described as %+v, want id %s and token %s", m, id, s.token(1))
	}
	if m.Launched.Before(before) || m.Launched.After(time.Now().Add(time.Minute)) || m.Launched.Location() != time.UTC {
		t.Errorf("launch time %s is not now in UTC", m.Launched)
	}
	s.until(t, "the machine is listed", func(context.Context) bool { return s.listed(t, p)[m.Token].ID == id })
	if l := s.listed(t, p)[m.Token]; !l.Launched.Equal(m.Launched) || l.Address != m.Address {
		t.Errorf("listed as %+v, described as %+v", l, m)
	}
	s.terminate(t, p, id)
}

// terminate terminates a machine and waits until the cloud says that it is gone.
func (s *suite) terminate(t *testing.T, p cloud.Provider, id cloud.MachineID) {
	t.Helper()
	if err := p.Terminate(t.Context(), id); err != nil {
		t.Fatalf("terminate %s: %v", id, err)
	}
	s.until(t, "the machine is gone", func(ctx context.Context) bool {
		m, err := p.Describe(ctx, id)
		gone := cloud.KindOf(err) == cloud.KindNotFound || err == nil && m.State == cloud.StateGone
		for _, listed := range s.listed(t, p) {
			gone = gone && listed.ID != id
		}
		return gone
	})
}

// sameToken: a repeated launch gives the same machine.
func (s *suite) sameToken(t *testing.T) {
	p := s.open(t)
	first := s.launch(t, p, 1)
	if second := s.launch(t, p, 1); second != first {
		t.Errorf("the same token gave machine %s, then %s", first, second)
	}
	s.until(t, "one machine is listed", func(context.Context) bool { return len(s.listed(t, p)) == 1 })
}

// sameTokenAtOnce: simultaneous launches with one token give one machine.
func (s *suite) sameTokenAtOnce(t *testing.T) {
	p := s.open(t)
	ids := s.launchAll(t, p, func(int) int { return 1 })
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one token gave machines %v", ids)
		}
	}
	s.until(t, "one machine is listed", func(context.Context) bool { return len(s.listed(t, p)) == 1 })
}

// manyAtOnce: simultaneous launches give machines with ids and addresses of their own.
func (s *suite) manyAtOnce(t *testing.T) {
	p := s.open(t)
	ids, addresses := map[cloud.MachineID]bool{}, map[string]bool{}
	for _, id := range s.launchAll(t, p, func(i int) int { return i }) {
		ids[id] = true
		addresses[s.running(t, p, id).Address.String()] = true
	}
	if len(ids) != several || len(addresses) != several {
		t.Errorf("%d machines have the ids %v and the addresses %v", several, ids, addresses)
	}
	s.until(t, "all machines are listed", func(context.Context) bool { return len(s.listed(t, p)) == several })
}

// launchAll calls Launch several times at once, the i-th time for machine number(i).
func (s *suite) launchAll(t *testing.T, p cloud.Provider, number func(i int) int) []cloud.MachineID {
	t.Helper()
	ids, errs := make([]cloud.MachineID, several), make([]error, several)
	var calls sync.WaitGroup
	for i := range several {
		calls.Go(func() { ids[i], errs[i] = p.Launch(t.Context(), s.spec(number(i))) })
	}
	calls.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("launch %s: %v", s.token(number(i)), err)
		}
	}
	return ids
}

// restart: another provider of the same cloud finds the machine as it was, and its token gives it again.
func (s *suite) restart(t *testing.T) {
	p := s.open(t)
	id := s.launch(t, p, 1)
	before := s.running(t, p, id)
	if s.Reopen != nil {
		p = s.Reopen(t, p)
	}
	if after := s.running(t, p, id); after != before {
		t.Errorf("before the restart %+v, after it %+v", before, after)
	}
	if again := s.launch(t, p, 1); again != id {
		t.Errorf("the token of %s gave machine %s after a restart", id, again)
	}
	if other := s.running(t, p, s.launch(t, p, 2)); other.Address == before.Address || other.ID == id {
		t.Errorf("a machine launched after a restart, %+v, took what belongs to %+v", other, before)
	}
	s.terminate(t, p, id)
}

// console: what the machine printed can be read while it runs, and an unknown machine has no console.
func (s *suite) console(t *testing.T) {
	p := s.open(t)
	c, ok := p.(cloud.Console)
	if !ok {
		t.Logf("%T has no console, which is allowed", p)
		return
	}
	id := s.launch(t, p, 1)
	s.until(t, "the console shows the greeting", func(ctx context.Context) bool {
		r, err := c.Console(ctx, id)
		if err != nil {
			return s.passing(t, err)
		}
		defer r.Close()
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("read the console of %s: %v", id, err)
		}
		return strings.Contains(string(text), Greeting)
	})
	if _, err := c.Console(t.Context(), "no-such-machine"); s.wrong(t, err) != cloud.KindNotFound {
		t.Errorf("console of an unknown machine: %v", err)
	}
}

// publish: a port has an address of its own, the same one at every call and after a restart.
func (s *suite) publish(t *testing.T) {
	p := s.open(t)
	if _, ok := p.(cloud.Publisher); !ok {
		t.Logf("%T does not publish ports, which is allowed", p)
		return
	}
	id := s.launch(t, p, 1)
	s.running(t, p, id)
	call := func(ports ...uint16) map[uint16]string {
		t.Helper()
		at, err := p.(cloud.Publisher).Publish(t.Context(), id, ports)
		if err != nil {
			t.Fatalf("publish %v: %v", ports, err)
		}
		return at
	}
	first := call(80, 8080)
	if len(first) != 2 || first[80] == "" || first[80] == first[8080] {
		t.Errorf("published as %v", first)
	}
	if again := call(8080, 80); !maps.Equal(first, again) {
		t.Errorf("published as %v, the second time as %v", first, again)
	}
	if s.Reopen != nil {
		p = s.Reopen(t, p)
	}
	if again := call(80, 8080); !maps.Equal(first, again) {
		t.Errorf("published as %v, after a restart as %v", first, again)
	}
	if _, err := p.(cloud.Publisher).Publish(t.Context(), "no-such-machine", []uint16{80}); s.wrong(t, err) != cloud.KindNotFound {
		t.Errorf("publish of an unknown machine: %v", err)
	}
}
