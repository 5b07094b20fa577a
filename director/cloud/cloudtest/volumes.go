package cloudtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"conpaas/client/api"
	"conpaas/director/cloud"
)

// volumeName is the name of the suite's volumes.
const volumeName = "data"

// volumeProgram waits for its volume, prints what is on it, and adds a line with the name of its machine.
const volumeProgram = `#!/bin/sh
at=$CONPAAS_ROOT/var/lib/conpaas/volumes/data
until grep -q " $at " /proc/self/mountinfo; do sleep 0.05; done
echo "volume: begin $([ ! -f $at/lines ] || cat $at/lines) end"
echo NAME >> $at/lines && echo "volume: wrote NAME"
while grep -q " $at " /proc/self/mountinfo; do sleep 0.05; done
echo "volume: gone"
while :; do sleep 3600 & wait; done
`

// RunVolumes holds a cloud to the rules about volumes alone; Run does, too.
func RunVolumes(t *testing.T, open func(t *testing.T) cloud.Provider, o Options) {
	s := newSuite(open, o)
	if _, able := open(t).(cloud.Volumes); able == o.NoVolumes {
		t.Fatalf("the cloud keeps volumes: %t; Options.NoVolumes says %t", able, o.NoVolumes)
	}
	if o.NoVolumes {
		return
	}
	t.Run("life of a volume", s.volumeLife)
	t.Run("same token same volume", s.volumeTwice)
	t.Run("wrong volume", s.wrongVolume)
	t.Run("unknown volume", s.unknownVolume)
	t.Run("cancelled volume", s.cancelledVolume)
	t.Run("attached volume", s.attachedVolume)
	t.Run("volume and restart", s.volumeRestart)
	t.Run("content of a volume", s.volumeContent)
}

func (s *suite) volumeSpec(n int) cloud.VolumeSpec {
	return cloud.VolumeSpec{Token: fmt.Sprintf("%s-volume%d", s.Names, n), Name: volumeName, SizeMiB: api.MinVolumeMiB}
}

// volume makes the n-th volume of a rule.
func (s *suite) volume(t *testing.T, p cloud.Provider, n int) cloud.VolumeID {
	t.Helper()
	id, err := p.(cloud.Volumes).CreateVolume(t.Context(), s.volumeSpec(n))
	if err != nil || id == "" {
		t.Fatalf("create volume %d: id %q, %v", n, id, err)
	}
	return id
}

// volumes gives all volumes by id.
func (s *suite) volumes(t *testing.T, p cloud.Provider) map[cloud.VolumeID]cloud.Volume {
	t.Helper()
	list, err := p.(cloud.Volumes).Volumes(t.Context())
	if err != nil {
		t.Fatalf("volumes: %v", err)
	}
	byID := map[cloud.VolumeID]cloud.Volume{}
	for _, v := range list {
		byID[v.ID] = v
	}
	return byID
}

func (s *suite) attach(t *testing.T, p cloud.Provider, id cloud.VolumeID, to cloud.MachineID) (device string) {
	t.Helper()
	device, err := p.(cloud.Volumes).AttachVolume(t.Context(), id, to)
	if err != nil {
		t.Fatalf("attach %s to %s: %v", id, to, err)
	}
	return device
}

func (s *suite) detach(t *testing.T, p cloud.Provider, id cloud.VolumeID, from cloud.MachineID) {
	t.Helper()
	if err := p.(cloud.Volumes).DetachVolume(t.Context(), id, from); err != nil {
		t.Fatalf("detach %s from %s: %v", id, from, err)
	}
}

// part takes a volume from a machine, which ends where nothing else helps.
func (s *suite) part(t *testing.T, p cloud.Provider, id cloud.VolumeID, from cloud.MachineID) {
	t.Helper()
	if !s.Stubborn {
		s.detach(t, p, id, from)
		s.detach(t, p, id, from)
		return
	}
	if err := p.(cloud.Volumes).DetachVolume(t.Context(), id, from); s.wrong(t, err) != cloud.KindInUse {
		t.Fatalf("detach %s from %s, which does not let go of it: %v", id, from, err)
	}
	s.terminate(t, p, from)
}

// remove removes a volume, twice.
func (s *suite) remove(t *testing.T, p cloud.Provider, id cloud.VolumeID) {
	t.Helper()
	for range 2 {
		if err := p.(cloud.Volumes).RemoveVolume(t.Context(), id); err != nil {
			t.Fatalf("remove volume %s: %v", id, err)
		}
	}
	s.until(t, "the volume is not listed", func(context.Context) bool {
		_, there := s.volumes(t, p)[id]
		return !there
	})
}

// volumeLife: created, listed as it was asked for, removed, and removed again.
func (s *suite) volumeLife(t *testing.T) {
	p := s.open(t)
	before := time.Now().Add(-time.Minute)
	first, second := s.volume(t, p, 1), s.volume(t, p, 2)
	s.until(t, "both volumes are listed", func(context.Context) bool { return len(s.volumes(t, p)) == 2 })
	got := s.volumes(t, p)[first]
	if got.Token != s.volumeSpec(1).Token || got.SizeMiB < api.MinVolumeMiB || got.Machine != "" || got.Created.Before(before) || got.Created.Location() != time.UTC {
		t.Errorf("listed as %+v", got)
	}
	s.remove(t, p, first)
	if _, there := s.volumes(t, p)[second]; !there {
		t.Error("the other volume has gone, too")
	}
	s.remove(t, p, second)
}

// volumeTwice: one token gives one volume, one after the other and at the same time.
func (s *suite) volumeTwice(t *testing.T) {
	p := s.open(t)
	ids, errs := make([]cloud.VolumeID, several), make([]error, several)
	var calls sync.WaitGroup
	for i := range several {
		calls.Go(func() { ids[i], errs[i] = p.(cloud.Volumes).CreateVolume(t.Context(), s.volumeSpec(1)) })
	}
	calls.Wait()
	ids = append(ids, s.volume(t, p, 1))
	if len(slices.Compact(ids)) != 1 || len(s.volumes(t, p)) != 1 {
		t.Errorf("one token gave the volumes %v (%v); listed are %v", ids, errs, s.volumes(t, p))
	}
}

// wrongVolume: what cannot be is refused for good, and leaves nothing.
func (s *suite) wrongVolume(t *testing.T) {
	p := s.open(t)
	for what, change := range map[string]func(*cloud.VolumeSpec){
		"no token":       func(v *cloud.VolumeSpec) { v.Token = "" },
		"no name":        func(v *cloud.VolumeSpec) { v.Name = "" },
		"path as name":   func(v *cloud.VolumeSpec) { v.Name = "../data" },
		"too small":      func(v *cloud.VolumeSpec) { v.SizeMiB = api.MinVolumeMiB - 1 },
		"too large":      func(v *cloud.VolumeSpec) { v.SizeMiB = api.MaxVolumeMiB + 1 },
		"another's":      func(v *cloud.VolumeSpec) { v.Deployment = "someone-else" },
		"negative":       func(v *cloud.VolumeSpec) { v.SizeMiB = -1 },
		"very long name": func(v *cloud.VolumeSpec) { v.Name = strings.Repeat("a", 64) },
	} {
		spec := s.volumeSpec(1)
		change(&spec)
		if _, err := p.(cloud.Volumes).CreateVolume(t.Context(), spec); s.wrong(t, err) != cloud.KindPermanent {
			t.Errorf("%s: %v", what, err)
		}
	}
	if left := s.volumes(t, p); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// unknownVolume: there is nothing to attach, and nothing to be done where something is to go.
func (s *suite) unknownVolume(t *testing.T) {
	p := s.open(t)
	v := p.(cloud.Volumes)
	known, machine := s.volume(t, p, 1), s.launch(t, p, 1)
	s.running(t, p, machine)
	if _, err := v.AttachVolume(t.Context(), "no-such-volume", machine); s.wrong(t, err) != cloud.KindNotFound {
		t.Errorf("attach of an unknown volume: %v", err)
	}
	if _, err := v.AttachVolume(t.Context(), known, "no-such-machine"); s.wrong(t, err) != cloud.KindNotFound {
		t.Errorf("attach to an unknown machine: %v", err)
	}
	s.detach(t, p, "no-such-volume", machine)
	s.detach(t, p, known, "no-such-machine")
	s.detach(t, p, known, machine)
	if err := v.RemoveVolume(t.Context(), "no-such-volume"); err != nil {
		t.Errorf("remove an unknown volume: %v", err)
	}
	s.remove(t, p, known)
}

// cancelledVolume: calls with a cancelled context say so and do nothing.
func (s *suite) cancelledVolume(t *testing.T) {
	p := s.open(t)
	v := p.(cloud.Volumes)
	id, machine := s.volume(t, p, 1), s.launch(t, p, 1)
	s.running(t, p, machine)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, create := v.CreateVolume(ctx, s.volumeSpec(2))
	_, list := v.Volumes(ctx)
	_, attach := v.AttachVolume(ctx, id, machine)
	for op, err := range map[string]error{"create": create, "list": list, "attach": attach, "detach": v.DetachVolume(ctx, id, machine), "remove": v.RemoveVolume(ctx, id)} {
		if s.wrong(t, err) != cloud.KindTransient {
			t.Errorf("cancelled %s: %v, want an error of kind %s", op, err, cloud.KindTransient)
		}
	}
	if all := s.volumes(t, p); len(all) != 1 || all[id].Machine != "" {
		t.Errorf("there are %v", all)
	}
}

// attachedVolume: a volume belongs to one machine, until it is detached or the machine ends.
func (s *suite) attachedVolume(t *testing.T) {
	p := s.open(t)
	v := p.(cloud.Volumes)
	id, first, second := s.volume(t, p, 1), s.launch(t, p, 1), s.launch(t, p, 2)
	s.running(t, p, first)
	s.running(t, p, second)
	device := s.attach(t, p, id, first)
	if again := s.attach(t, p, id, first); again != device {
		t.Errorf("attached as %q, and again as %q", device, again)
	}
	if got := s.volumes(t, p)[id].Machine; got != first {
		t.Errorf("attached to %s, it is listed at %q", first, got)
	}
	if _, err := v.AttachVolume(t.Context(), id, second); s.wrong(t, err) != cloud.KindInUse || !strings.Contains(err.Error(), string(first)) {
		t.Errorf("attached to two machines: %v", err)
	}
	if err := v.RemoveVolume(t.Context(), id); s.wrong(t, err) != cloud.KindInUse {
		t.Errorf("removed while it is attached: %v", err)
	}
	s.detach(t, p, id, second) // which has not got it
	if got := s.volumes(t, p)[id].Machine; got != first {
		t.Errorf("detached from another machine, it is listed at %q", got)
	}
	s.part(t, p, id, first)
	s.attach(t, p, id, second)
	s.terminate(t, p, second)
	s.until(t, "the volume is free of its terminated machine", func(context.Context) bool { return s.volumes(t, p)[id].Machine == "" })
	third := s.launch(t, p, 3)
	s.running(t, p, third)
	s.attach(t, p, id, third)
	s.part(t, p, id, third)
	s.remove(t, p, id)
}

// volumeRestart: volumes are there after a restart, as they were, attached where they were.
func (s *suite) volumeRestart(t *testing.T) {
	p := s.open(t)
	one, other, machine := s.volume(t, p, 1), s.volume(t, p, 2), s.launch(t, p, 1)
	s.running(t, p, machine)
	device := s.attach(t, p, one, machine)
	before := s.volumes(t, p)
	if s.Reopen != nil {
		p = s.Reopen(t, p)
	}
	if diff := gocmp.Diff(before, s.volumes(t, p)); diff != "" {
		t.Errorf("the volumes before and after a restart: %s", diff)
	}
	if again := s.attach(t, p, one, machine); again != device {
		t.Errorf("attached as %q, after a restart as %q", device, again)
	}
	if again := s.volume(t, p, 2); again != other {
		t.Errorf("the token of %s gave volume %s after a restart", other, again)
	}
	s.part(t, p, one, machine)
	s.remove(t, p, one)
	s.remove(t, p, other)
}

// volumeContent: what one machine writes the next one reads, whether the first was terminated or let go of it.
func (s *suite) volumeContent(t *testing.T) {
	if s.NoVolumeProgram {
		t.Log("the machines of this suite cannot look at a volume")
		return
	}
	p := s.open(t)
	id := s.volume(t, p, 1)
	want := ""
	for n := 1; n <= 3; n++ {
		spec := s.spec(n)
		spec.UserData = []byte(strings.ReplaceAll(volumeProgram, "NAME", spec.Name))
		machine, err := p.Launch(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		s.running(t, p, machine)
		s.attach(t, p, id, machine)
		text := s.says(t, p, machine, "volume: wrote "+spec.Name)
		if got := strings.Join(strings.Fields(text), " "); !strings.Contains(got, "volume: begin"+want+" end") {
			t.Errorf("machine %d finds on the volume: %s; want%s", n, got, want)
		}
		want += " " + spec.Name
		if n == 2 {
			s.detach(t, p, id, machine)
			s.says(t, p, machine, "volume: gone")
			continue
		}
		s.terminate(t, p, machine)
	}
	s.remove(t, p, id)
}

// says waits until the console of a machine has a text, and gives all of it.
func (s *suite) says(t *testing.T, p cloud.Provider, id cloud.MachineID, word string) string {
	t.Helper()
	var text []byte
	s.until(t, fmt.Sprintf("machine %s prints %q", id, word), func(ctx context.Context) bool {
		r, err := p.(cloud.Console).Console(ctx, id)
		if err != nil {
			return s.passing(t, err)
		}
		defer r.Close()
		if text, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), word)
	})
	return string(text)
}
