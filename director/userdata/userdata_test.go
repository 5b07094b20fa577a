package userdata_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/userdata"
)

// fetching is where a script has written all that it holds, and begins to look for the code.
const fetching = "\narch=$(uname -m)\n"

// Whatever a bootstrap holds, the script is one that a shell takes, and what it writes and fetches by is that, byte for byte.
func FuzzScript(f *testing.F) {
	const pem = "-----BEGIN CERTIFICATE-----\nMII+/=\n-----END CERTIFICATE-----\n"
	f.Add("https://director.example.org:5555", "192.0.2.1:5555", pem, "conpaas", "n1", "secret", "1.0", pem, int64(1_700_000_000))
	f.Add("https://[2001:db8::1]/'$(x)", "'\n`id`", `it's "$HOME" \`, "%s\\n", "-n", "'", "a'b/../c", "'; exit 1; '", int64(-1))
	f.Add("https://d", fetching, fetching, "\x00", "\u2028\xff\x81\x88", "{{.CA}}", "\r\n", "$'\\x41'", int64(1<<40))
	// The machine's clock is not the test's to set.
	date := f.TempDir()
	if err := os.WriteFile(filepath.Join(date, "date"), []byte("#!/bin/sh\necho 0\n"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, director, address, ca, deployment, node, token, version, key string, issued int64) {
		b := api.Bootstrap{
			Director: director, Address: address, CA: ca, Deployment: deployment, Kind: api.KindAgent, Node: api.NodeID(node), Token: api.Secret(token),
			Issued: time.Unix(issued, 0), Code: api.CodePin{Version: version, PublicKey: key},
		}
		script, err := userdata.Script(b)
		if err != nil {
			return
		}
		check := exec.Command("sh", "-n")
		check.Stdin = bytes.NewReader(script)
		if out, err := check.CombinedOutput(); err != nil {
			t.Fatalf("no shell takes it: %v %s\n%q", err, out, script)
		}
		writes, _, found := strings.Cut(string(script), fetching)
		if !found || strings.Contains(ca+key+version+director+address, fetching) {
			return
		}
		document, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		root := t.TempDir()
		run := exec.Command("sh", "-c", `. "$0"; printf '%s\n' "$version" >"$home/version"`, filepath.Join(root, "script"))
		run.Env = []string{"PATH=" + date + ":/usr/bin:/bin", "CONPAAS_ROOT=" + root, "CONPAAS_LISTEN=192.0.2.9"}
		if err := os.WriteFile(filepath.Join(root, "script"), []byte(writes+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%v %s\n%q", err, out, writes)
		}
		for name, want := range map[string]string{
			"bootstrap.json": strings.TrimSuffix(string(document), "}") + `,"listen":"192.0.2.9"}`,
			"ca.pem":         ca, "code.pub": key, "version": version,
		} {
			got, err := os.ReadFile(filepath.Join(root, "var/lib/conpaas", name))
			if err != nil || string(got) != want+"\n" {
				t.Errorf("%s is %q, %v, want %q", name, got, err, want)
			}
		}
	})
}
