package qemu_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"conpaas/director/cloud/local/qemu"
)

// TestMissing names every program that is not there with its package.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := qemu.Missing(qemu.BIOS)
	if !errors.Is(err, qemu.ErrRefused) || !strings.HasSuffix(err.Error(), "apt-get install --no-install-recommends qemu-system-x86 qemu-utils mtools") {
		t.Errorf("%v", err)
	}
	if err := qemu.KVM(t.Context()); err == nil {
		t.Error("KVM works without the emulator")
	}
}

// TestTell: greeting, capabilities and command go over the socket; an error, an end and a silence are told.
func TestTell(t *testing.T) {
	const greeting, done = `{"QMP":{}}`, `{"return":{}}`
	for _, c := range []struct {
		name    string
		answers []string // one before and after each line
		says    string
	}{
		{"obeys", []string{greeting, done, `{"event":"RESUME"}` + "\n" + done}, ""},
		{"refuses", []string{greeting, done, `{"error":{"desc":"no medium"}}`}, `tell the emulator "cont": it refuses: it says "no medium"`},
		{"ends", []string{greeting}, "tell the emulator \"qmp_capabilities\": "},
		{"is silent", nil, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file, err := qemu.Listen(dir)
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.FileListener(file)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			defer file.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			heard := make(chan string, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					heard <- err.Error()
					return
				}
				if c.answers == nil {
					cancel()
				}
				lines, all := bufio.NewScanner(conn), ""
				for i := 0; i < len(c.answers); i++ {
					fmt.Fprintln(conn, c.answers[i])
					if i+1 < len(c.answers) && lines.Scan() {
						all += lines.Text()
					}
				}
				if c.answers != nil {
					conn.Close()
				}
				heard <- all
			}()
			err = qemu.Tell(ctx, dir, "cont")
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if all := <-heard; c.says == "" && all != `{"execute":"qmp_capabilities"}{"execute":"cont"}` {
				t.Errorf("it heard %s", all)
			}
		})
	}
}
