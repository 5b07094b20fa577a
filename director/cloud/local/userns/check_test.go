package userns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a directory with files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestAllowed: each setting that forbids user namespaces is named with its remedy.
func TestAllowed(t *testing.T) {
	t.Parallel()
	const most, debian, ubuntu = "user/max_user_namespaces", "kernel/unprivileged_userns_clone", "kernel/apparmor_restrict_unprivileged_userns"
	for _, c := range []struct {
		files map[string]string
		says  string
	}{
		{map[string]string{most: "1000\n", debian: "1\n", ubuntu: "0\n"}, ""},
		{map[string]string{most: "1000\n"}, ""},
		{map[string]string{most: "0\n"}, "user.max_user_namespaces="},
		{map[string]string{most: "1000\n", debian: "0\n"}, "kernel.unprivileged_userns_clone=1"},
		{map[string]string{most: "1000\n", ubuntu: "1\n"}, "kernel.apparmor_restrict_unprivileged_userns=0"},
		{nil, "CONFIG_USER_NS"},
	} {
		err := allowed(write(t, c.files))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.files, err, c.says)
		}
	}
}

// TestSubordinate: a user without enough ids is told the command that gives them.
func TestSubordinate(t *testing.T) {
	t.Parallel()
	const enough = "ann:100000:65536\nbob:165536:65536\n"
	for _, c := range []struct{ uids, gids, says string }{
		{enough, enough, ""},
		{"", enough, "subuid gives bob 0"},
		{enough, "ann:100000:65536\n", "subgid gives bob 0"},
		{"bob:100000:10\n" + enough, enough, "subuid gives bob 10"},
	} {
		err := subordinate(write(t, map[string]string{"subuid": c.uids, "subgid": c.gids}), "bob")
		if (err == nil) != (c.says == "") || err != nil && !(strings.Contains(err.Error(), c.says) && strings.Contains(err.Error(), "usermod --add-subuids")) {
			t.Errorf("%q, %q: %v, want %q", c.uids, c.gids, err, c.says)
		}
	}
	if err := subordinate(t.TempDir(), "bob"); err == nil {
		t.Error("without files bob has ids")
	}
}
