package java

import (
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

func TestFirstError(t *testing.T) {
	const log = `2026-11-22T14:00:00+0000 SEVERE code-aaaaa1 a.B: of an earlier start
2026-11-22T15:00:01+0000 INFO code-aaaaa1 a.B: nothing
2026-11-22T15:00:01+0000 SEVERE code-bbbbb2 a.B: of another version
2026-11-22T15:00:02+0000 SEVERE code-aaaaa1 a.Host: One or more listeners failed to start. Full details will be found in the appropriate container log file
2026-11-22T15:00:02+0000 SEVERE code-aaaaa1 a.Context.[/]: Exception sending context initialized event
java.lang.IllegalStateException: no database
	at a.B.c(B.java:1)
	at a.B.d(B.java:2)
Caused by: java.io.IOException: db.example.org is unknown
	at a.B.e(B.java:3)
2026-11-22T15:00:03+0000 SEVERE code-aaaaa1 a.B: a later one
Caused by: nothing
`
	since := time.Date(2026, 11, 22, 15, 0, 1, 500, time.UTC)
	want := "Exception sending context initialized event\njava.lang.IllegalStateException: no database\nCaused by: java.io.IOException: db.example.org is unknown"
	if got := firstError(log, "code-aaaaa1", since); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	first, _, _ := strings.Cut(log, "2026-11-22T15:00:02+0000 SEVERE code-aaaaa1 a.Context")
	if got := firstError(first, "code-aaaaa1", since); !strings.HasPrefix(got, "One or more listeners") {
		t.Errorf("where there is no other: %q", got)
	}
	if got := firstError(log, "code-none00", since); got != "" {
		t.Errorf("of no version: %q", got)
	}
	if got := firstError("2026-11-22T15:00:02+0000 SEVERE code-aaaaa1 a: \xff"+strings.Repeat("x", 1<<20), "code-aaaaa1", since); len(got) > 2*reasonBytes {
		t.Errorf("a reason of %d bytes", len(got))
	}
}

func FuzzFirstError(f *testing.F) {
	f.Add("2026-11-22T15:00:02+0000 SEVERE code-aaaaa1 a: b\nc\n")
	f.Fuzz(func(t *testing.T, log string) {
		if got := firstError(log, "code-aaaaa1", time.Time{}); len(got) > 2*reasonBytes {
			t.Errorf("a reason of %d bytes", len(got))
		}
	})
}

// What cannot be passed on is refused, and no error has the value.
func TestAccepts(t *testing.T) {
	var r runner
	for _, c := range []api.HostingBackendConfig{
		{},
		{Settings: map[string]string{"max_heap": "64M", "max_threads": "4", "max_post_size": "1K", "request_timeout": "1"}},
		{Settings: map[string]string{"max_heap": "64G", "max_threads": "1000", "max_post_size": "1G"}, Env: map[string]api.Secret{"A_b1": "x\n$y", "EMPTY": "", "JAVA_HOME": "/x"}},
	} {
		if err := r.Accepts(c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, s := range [][2]string{
		{"max_heap", "63M"},
		{"max_heap", "65G"},
		{"max_heap", "128m"},
		{"max_heap", "128M -Xrun"},
		{"max_heap", "9999999999G"},
		{"max_threads", "3"},
		{"max_threads", `9"/>`},
		{"max_post_size", "2G"},
		{"colour", "red"},
	} {
		if err := r.Accepts(api.HostingBackendConfig{Settings: map[string]string{s[0]: s[1]}}); err == nil {
			t.Errorf("%s=%s is let through", s[0], s[1])
		}
	}
	for _, e := range [][2]string{
		{"A B", "hush"}, {"", "hush"}, {"1A", "hush"}, {"PATH", "hush"}, {"LD_PRELOAD", "hush"}, {"CONPAAS_SESSIONS", "hush"}, {"A", "hush\x00"}, {"A", strings.Repeat("hush", maxEnvValue)},
	} {
		if err := r.Accepts(api.HostingBackendConfig{Env: map[string]api.Secret{e[0]: api.Secret(e[1])}}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q=%.20q: %v", e[0], e[1], err)
		}
	}
}
