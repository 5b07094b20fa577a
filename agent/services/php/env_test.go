package php

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

// What is refused would break php-fpm's file or not arrive; no error has the value.
func TestEnvironmentThatCannotBe(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"A B", "hush"},
		{"1A", "hush"},
		{"A]", "hush"},
		{"A\n", "hush"},
		{"", "hush"},
		{"PATH", "hush"},
		{"TMPDIR", "hush"},
		{strings.Repeat("A", 300), "hush"},
		{"A", ""},
		{"A", "$hush"},
		{"A", "hush\nlisten = 1"},
		{"A", "hush\r"},
		{"A", "hush\x00"},
		{"A", strings.Repeat("hush", maxEnv/4)},
	} {
		backend := goodBackend()
		backend.Env = map[string]api.Secret{c.name: api.Secret(c.value)}
		if err := (runner{}).Accepts(backend); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%.20q=%.20q: %v", c.name, c.value, err)
		}
	}
}

// php-fpm reads each value as it was given.
func TestEnvironmentIsQuoted(t *testing.T) {
	fpm, err := exec.LookPath("php-fpm8.2")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]api.Secret{
		"QUOTES": `it's "one" 'two' ''`, "SPECIAL": ` ${x} $y \ \' \n ; # = [x] & ! | ^ ~ ( ) {} `, "WORD": "yes", "NONE": "null", "NUMBER": "007", "TAB": "a\tb",
		"QUOTE": "'", "SLASH": `C:\dir\`, "UNICODE": "Grüße", "MARK": "a " + conf.MarkHere + " b", "lower": "x", "LONG": api.Secret(strings.Repeat("x", 20_000)),
	}
	all, err := fpmEnv(values)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("[global]\nerror_log = /proc/self/fd/2\n[www]\nlisten = 127.0.0.1:1\nuser = www-data\npm = static\npm.max_children = 1\n")
	for _, v := range all {
		text.WriteString("env[" + v.Name + "] = " + v.Value + "\n")
	}
	if strings.Contains(text.String(), conf.MarkHere) {
		t.Error("the mark would be written into a value")
	}
	file := filepath.Join(t.TempDir(), "fpm.conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(fpm, "-n", "-tt", "-y", file).CombinedOutput() // it shows the values as it has read them
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, value := range values {
		if want := "env[" + name + "] = " + value.Reveal(); name != "LONG" && !strings.Contains(string(out), want+"\n") {
			t.Errorf("php-fpm has not read %q:\n%s", want, out)
		}
	}
}
