package join

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"conpaas/client/api"
)

func TestAdvance(t *testing.T) {
	issued := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		now     time.Time
		overlay bool
		err     error
		want    bool // the clock is set
	}{
		{"1970", time.Unix(0, 0), true, nil, true},
		{"a second late", issued.Add(-time.Second), true, nil, true},
		{"refused", time.Unix(0, 0), true, os.ErrPermission, true},
		{"right", issued.Add(time.Second), true, nil, false},
		{"a process on somebody's host", time.Unix(0, 0), false, nil, false},
	} {
		var set []time.Time
		c := clock{now: func() time.Time { return tt.now }, set: func(at time.Time) error {
			set = append(set, at)
			return tt.err
		}}
		c.advance(discard, api.Bootstrap{Issued: issued, Overlay: tt.overlay})
		if (len(set) == 1 && set[0].Equal(issued)) != tt.want || !tt.want && set != nil {
			t.Errorf("%s: set to %v, want it set: %t", tt.name, set, tt.want)
		}
	}
	clock{now: func() time.Time { return time.Unix(0, 0) }}.advance(discard, api.Bootstrap{Issued: issued, Overlay: true})
}

func TestContainersKeepTheirHostsClock(t *testing.T) {
	t.Setenv("container", "conpaas")
	if systemClock().set != nil {
		t.Error("a container would set the clock")
	}
	t.Setenv("container", "")
	if systemClock().set == nil {
		t.Error("a machine would not set its clock")
	}
}

// A node whose clock stands in 1970 joins all the same.
func TestJoinWithALateClock(t *testing.T) {
	f := newDirectorServer(t)
	f.StartTLS()
	b := f.bootstrap()
	b.Issued = time.Now().Add(30 * time.Minute) // to this machine its clock is late; the director's certificate is valid then
	if _, _, err := quick(t.Context(), t, b, t.TempDir()); err != nil {
		t.Error(err)
	}
	b.Issued = time.Now().Add(2 * time.Hour) // the director's certificate has ended by then
	_, _, err := quick(t.Context(), t, b, t.TempDir())
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("certificates are not checked at the issue time: %v", err)
	}
}

func TestBootID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	first, err := BootID(dir)
	if err != nil || len(first) < 20 {
		t.Fatalf("boot id %q, %v", first, err)
	}
	if again, err := BootID(dir); err != nil || again != first {
		t.Errorf("in the same boot: %q, %v, want %q", again, err, first)
	}
	second, err := bootID(dir, "another boot")
	if err != nil || second == first {
		t.Errorf("in another boot: %q, %v", second, err)
	}
	if again, err := bootID(dir, "another boot"); err != nil || again != second {
		t.Errorf("in the same other boot: %q, %v", again, err)
	}
	if other, err := BootID(t.TempDir()); err != nil || other == first {
		t.Errorf("on another machine: %q, %v", other, err)
	}
	if bootMark() == "" {
		t.Error("this machine has no mark of its boot")
	}
}

func TestOverlayKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	made := 0
	newKey := func() (string, string, error) {
		made++
		return "private", "public", nil
	}
	for range 2 {
		if key, err := OverlayKey(dir, newKey); err != nil || key != "private" || made != 1 {
			t.Fatalf("key %q, %v, made %d times", key, err, made)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, OverlayKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	trouble := errors.New("no randomness")
	if _, err := OverlayKey(t.TempDir(), func() (string, string, error) { return "", "", trouble }); !errors.Is(err, trouble) {
		t.Errorf("error %v", err)
	}
}
