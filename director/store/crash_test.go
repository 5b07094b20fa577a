package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"conpaas/client/api"
)

// The test binary, started again with crashDirectory set, is a director that writes until it is killed. With crashPoint set to
// "<failpoint> <n>" it kills itself at the n-th passage of that failpoint.
const (
	crashDirectory = "STORE_TEST_CRASH_DIRECTORY"
	crashPoint     = "STORE_TEST_CRASH_POINT"
)

// crashWriter creates users user1, user2, … each with an event in one transaction, and prints the number after each commit.
func crashWriter(dir, point string) {
	name, count, _ := strings.Cut(point, " ")
	left, _ := strconv.Atoi(count)
	s, err := Open(context.Background(), dir, Options{Failpoint: func(p string) error {
		if p == name {
			if left--; left == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
		return nil
	}})
	for n := 1; err == nil; n++ {
		user := fmt.Sprintf("user%d", n)
		err = s.Update(context.Background(), "crash", func(tx *Tx) error {
			if _, err := tx.FindUser(user); err == nil {
				return nil // from before the crash
			}
			if _, err := tx.CreateUser(User{Name: user, Role: api.RoleUser, Password: strings.Repeat("x", 5000)}); err != nil {
				return err
			}
			_, err := tx.AddEvent(Event{Kind: user})
			return err
		})
		fmt.Println(n)
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

// crash runs a writer on dir, kills it after kill acknowledged writes where it does not do that itself, and gives the number of the
// last acknowledged one.
func crash(t *testing.T, dir, point string, kill int) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p, err := os.StartProcess(self, []string{self, "-test.run=^$"}, &os.ProcAttr{
		Env:   append(os.Environ(), crashDirectory+"="+dir, crashPoint+"="+point),
		Files: []*os.File{nil, in, os.Stderr},
	})
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Errorf("the writer says %q", lines.Text())
		}
		if last == kill {
			if err := p.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := p.Wait(); err != nil {
		t.Error(err)
	}
	return last
}

// verify opens the database after a crash and sees that it is whole: every acknowledged user is there, and each with its event.
func verify(t *testing.T, dir string, acknowledged int) (users int) {
	t.Helper()
	s := openStore(t, dir, Options{})
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r *Read) error {
		events := map[string]bool{}
		for after := int64(0); ; {
			page, next, err := r.Events(0, Page{After: after, Limit: 1000})
			if err != nil {
				return err
			}
			for _, e := range page {
				events[e.Kind] = true
			}
			if after = next; next == 0 {
				break
			}
		}
		for ; ; users++ {
			name := fmt.Sprintf("user%d", users+1)
			_, err := r.FindUser(name)
			if (err == nil) != events[name] {
				t.Errorf("%s: user %v, event %v: half a transaction is there", name, err, events[name])
			}
			if err != nil {
				break
			}
		}
		return nil
	})
	if users < acknowledged {
		t.Errorf("%d users are there, %d were acknowledged", users, acknowledged)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return users
}

func TestKilledWriterLosesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, kill := range []int{1, 40, 90, 200} {
		verify(t, dir, crash(t, dir, "", kill))
	}
}

func TestCrashAtEveryFailpoint(t *testing.T) {
	for _, test := range []struct {
		point string
		users int // that are there afterwards
		acks  int
	}{
		{"open/before 1", 0, 0},
		{"open/after 1", 0, 0},
		{"crash/before 3", 2, 2},
		{"crash/after 3", 3, 2},
	} {
		t.Run(strings.ReplaceAll(test.point, "/", " "), func(t *testing.T) {
			dir := t.TempDir()
			if acks := crash(t, dir, test.point, 100); acks != test.acks {
				t.Errorf("%d writes acknowledged, want %d", acks, test.acks)
			}
			if users := verify(t, dir, test.acks); users != test.users {
				t.Errorf("%d users afterwards, want %d", users, test.users)
			}
		})
	}
}

// Power loss may cut or spoil the end of the write-ahead log: what is whole before that place is kept, the rest is forgotten.
func TestTornWriteAheadLog(t *testing.T) {
	dir := t.TempDir()
	acknowledged := crash(t, dir, "", 30)
	wal, err := os.ReadFile(filepath.Join(dir, "director.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	if len(wal) < 100_000 {
		t.Fatalf("the log has %d bytes, too few to test with", len(wal))
	}
	for name, torn := range map[string][]byte{
		"whole":          wal,
		"cut":            wal[:len(wal)-1],
		"cut in a frame": wal[:len(wal)/2+7],
		"spoilt":         append(append([]byte{}, wal[:len(wal)-2000]...), make([]byte, 2000)...),
		"garbage after":  append(append([]byte{}, wal...), wal[:5000]...),
		"empty":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			copied := t.TempDir()
			for _, file := range []string{"director.db", "secret.key"} {
				copyFile(t, filepath.Join(dir, file), filepath.Join(copied, file))
			}
			if err := os.WriteFile(filepath.Join(copied, "director.db-wal"), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			least := 0
			if name == "whole" || name == "garbage after" {
				least = acknowledged
			}
			verify(t, copied, least)
		})
	}
}
