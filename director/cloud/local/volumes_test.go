package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
)

// volumeUser is the program of a machine that tells what is on its volume, each time that it gets one, and adds the line "kept".
const volumeUser = `#!/bin/sh
at=$CONPAAS_ROOT/var/lib/conpaas/volumes/data
trap 'exit 0' TERM
while :; do
	until grep -q " $at " /proc/self/mountinfo; do sleep 0.02; done
	echo "has $([ ! -f $at/lines ] || cat $at/lines) end"
	echo kept >> $at/lines && echo wrote
	while grep -q " $at " /proc/self/mountinfo; do sleep 0.02; done
	echo without
done
`

// volumeLife is the life of a volume on a machine: made, attached, written to, kept when the machine ends, removed.
func volumeLife(ctx context.Context, l *local.Cloud) error {
	v, err := l.CreateVolume(ctx, cloud.VolumeSpec{Token: "crash", Name: "data", SizeMiB: 16})
	if err != nil {
		return err
	}
	m, err := l.Launch(ctx, cloud.Spec{Token: "crash-1", Name: "crash", UserData: []byte(volumeUser)})
	if err != nil {
		return err
	}
	if _, err := l.AttachVolume(ctx, v, m); err != nil {
		return err
	}
	for {
		r, err := l.Console(ctx, m)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		if strings.Contains(string(text), "wrote") {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.Join(l.DetachVolume(ctx, v, m), l.Terminate(ctx, m), l.RemoveVolume(ctx, v))
}

// TestVolumeCrash kills the director at every place of a volume's life. A new director finds at most one volume of the token, which
// any machine can have and which holds what was written; then nothing is left of it.
func TestVolumeCrash(t *testing.T) {
	for _, kind := range []string{local.RuntimeContainer, local.RuntimeProcess} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := configuration(t, map[string]string{"RUNTIME": kind})
			l := start(t, c)
			other, err := l.Launch(t.Context(), cloud.Spec{Token: "other-1", UserData: []byte(volumeUser)})
			if err := errors.Join(err, l.Close()); err != nil {
				t.Fatal(err)
			}
			places := job{Dir: c.Dir, Options: c.Options, Work: "volume"}.crash(t)
			first := slices.Index(places, "attach:noted")
			wrote, gone := slices.Index(places, "detach:unplugged"), slices.Index(places, "volume:removed")
			if first < 0 || wrote < first || gone < wrote {
				t.Fatalf("the places are %q", places)
			}
			for i, place := range places {
				if launching := strings.HasPrefix(place, "launch:") || strings.HasPrefix(place, "start:"); launching && place != "launch:done" {
					continue // TestCrash has them
				}
				t.Run(place, func(t *testing.T) {
					job{Dir: c.Dir, Options: c.Options, Work: "volume", Kill: i + 1}.crash(t)
					l := open(t, c)
					defer func() { _ = l.Close() }()
					if err := l.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					volumeAfterCrash(t, l, newHost(t, c.Dir), other, i >= wrote && i < gone)
				})
			}
		})
	}
}

// volumeAfterCrash looks at a cloud after a crash, and leaves it without the volume and its machine.
func volumeAfterCrash(t *testing.T, l *local.Cloud, h host, other cloud.MachineID, wrote bool) {
	t.Helper()
	ctx := t.Context()
	before, err := l.Volumes(ctx)
	if err != nil || len(before) > 1 {
		t.Fatalf("the volumes are %v, %v", before, err)
	}
	v, err := l.CreateVolume(ctx, cloud.VolumeSpec{Token: "crash", Name: "data", SizeMiB: 16})
	if err != nil || len(before) == 1 && v != before[0].ID {
		t.Fatalf("the volumes were %v, and the token gives %s, %v", before, v, err)
	}
	if len(before) == 1 && before[0].Machine != "" {
		if _, err := l.AttachVolume(ctx, v, other); cloud.KindOf(err) != cloud.KindInUse {
			t.Errorf("a volume of %s is attached to another machine: %v", before[0].Machine, err)
		}
	}
	list, err := l.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.ID != other {
			err = errors.Join(err, l.Terminate(ctx, m.ID))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	had := strings.Count(consoleOf(t, l, other), "without\n")
	if _, err := l.AttachVolume(ctx, v, other); err != nil {
		t.Fatal(err)
	}
	until(t, "the other machine has the volume", func() bool { return strings.Count(consoleOf(t, l, other), "wrote\n") == had+1 })
	text := consoleOf(t, l, other)
	if last := text[strings.LastIndex(text, "has "):]; wrote && !strings.HasPrefix(last, "has kept") {
		t.Errorf("what was written is lost: %s", last)
	}
	if err := l.DetachVolume(ctx, v, other); err != nil {
		t.Error(err)
	}
	until(t, "the other machine is without it", func() bool { return strings.Count(consoleOf(t, l, other), "without\n") == had+1 })
	if err := l.RemoveVolume(ctx, v); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(h.dir, "volumes")); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if left := h.loops(t); len(left) != 0 {
		t.Errorf("left are loop devices of %v", left)
	}
}

// consoleOf gives what a machine has printed.
func consoleOf(t *testing.T, l *local.Cloud, id cloud.MachineID) string {
	t.Helper()
	r, err := l.Console(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// loops gives the files of the cloud that loop devices have.
func (h host) loops(t *testing.T) (files []string) {
	t.Helper()
	bound, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range bound {
		if file, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(file), h.dir+"/") {
			files = append(files, strings.TrimSpace(string(file)))
		}
	}
	return files
}

// TestVolumeBusy: what a program of the machine uses is not taken from it, and the error says what is to be done.
func TestVolumeBusy(t *testing.T) {
	for _, kind := range []string{"container", "process"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := start(t, configuration(t, map[string]string{"RUNTIME": kind}))
			m := launch(t, l, "n1-1", "at=$CONPAAS_ROOT/var/lib/conpaas/volumes/data", `until grep -q " $at " /proc/self/mountinfo; do sleep 0.02; done`, "cd $at && echo inside")
			v, err := l.CreateVolume(t.Context(), cloud.VolumeSpec{Token: "v1", Name: "data", SizeMiB: 16})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.AttachVolume(t.Context(), v, m.ID); err != nil {
				t.Fatal(err)
			}
			printed(t, l, m.ID, "inside")
			if err := l.DetachVolume(t.Context(), v, m.ID); cloud.KindOf(err) != cloud.KindInUse || !strings.Contains(err.Error(), "stop them") {
				t.Errorf("%v", err)
			}
			other, err := l.CreateVolume(t.Context(), cloud.VolumeSpec{Token: "v2", Name: "data", SizeMiB: 16})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.AttachVolume(t.Context(), other, m.ID); cloud.KindOf(err) != cloud.KindInUse {
				t.Errorf("two volumes of one name on a machine: %v", err)
			}
		})
	}
}

// TestVolumeFull: a volume with a file system has its size and no more, and one that the disk has no room for is refused.
func TestVolumeFull(t *testing.T) {
	t.Parallel()
	l := start(t, configuration(t, nil))
	m := launch(
		t, l, "n1-1", "at=/var/lib/conpaas/volumes/data", `until grep -q " $at " /proc/self/mountinfo; do sleep 0.02; done`,
		"stat -c 'owner %u:%g' $at", "(while cat /bin/busybox; do :; done) > $at/full 2>/tmp/said; cat /tmp/said; echo filled", `grep " $at " /proc/self/mountinfo`,
	)
	v, err := l.CreateVolume(t.Context(), cloud.VolumeSpec{Token: "v1", Name: "data", SizeMiB: 16})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AttachVolume(t.Context(), v, m.ID); err != nil {
		t.Fatal(err)
	}
	text := printed(t, l, m.ID, "ext4")
	for _, want := range []string{"owner 0:0", "No space left", "nosuid,nodev"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	if _, err := l.CreateVolume(t.Context(), cloud.VolumeSpec{Token: "v2", Name: "data", SizeMiB: 16 << 20}); cloud.KindOf(err) != cloud.KindCapacity {
		t.Errorf("a volume that is larger than the disk: %v", err)
	}
}

// TestVolumeHostRestart: machines that boot again have their volumes before they run.
func TestVolumeHostRestart(t *testing.T) {
	for _, kind := range []string{"container", "process"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := configuration(t, map[string]string{"RUNTIME": kind})
			l := start(t, c)
			id, err := l.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: []byte(volumeUser)})
			if err != nil {
				t.Fatal(err)
			}
			v, err := l.CreateVolume(t.Context(), cloud.VolumeSpec{Token: "v1", Name: "data", SizeMiB: 16})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.AttachVolume(t.Context(), v, id); err != nil {
				t.Fatal(err)
			}
			printed(t, l, id, "wrote")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			rebooted(t, c, id)
			l = start(t, c)
			until(t, "the machine has its volume again", func() bool { return strings.Count(consoleOf(t, l, id), "wrote\n") == 2 })
			if text := consoleOf(t, l, id); !strings.Contains(text, fmt.Sprintln("has kept end")) {
				t.Errorf("it says %s", text)
			}
		})
	}
}
