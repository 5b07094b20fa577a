package host_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"conpaas/agent/host/hosttest"
	"conpaas/client/api"
)

func addresses(all ...string) (out []netip.Addr) {
	for _, a := range all {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// The agent's lines come, change and go; everybody else's stay as they are.
func TestNamesOfServices(t *testing.T) {
	h := hosttest.New(t)
	file := filepath.Join(h.Root(), "etc/hosts")
	apply := func(want string, changed bool, names ...api.HostName) {
		t.Helper()
		got, err := h.ApplyNames(names)
		if err != nil || got != changed {
			t.Fatalf("ApplyNames: changed %v, %v; want %v", got, err, changed)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != want {
			t.Fatalf("the file is %q, %v; want %q", text, err, want)
		}
	}
	db := api.HostName{Name: "db.shop.internal", Addresses: addresses("172.16.0.2", "172.16.0.3")}
	apply("172.16.0.2 db.shop.internal # ConPaaS\n172.16.0.3 db.shop.internal # ConPaaS\n", true, db)
	if err := os.WriteFile(file, []byte("127.0.0.1 localhost\n172.16.0.9 db.shop.internal # ConPaaS\n10.0.0.1 mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	const own = "127.0.0.1 localhost\n10.0.0.1 mine\n"
	apply(own+"172.16.0.2 db.shop.internal # ConPaaS\n172.16.0.3 db.shop.internal # ConPaaS\n", true, db)
	apply(own+"172.16.0.2 db.shop.internal # ConPaaS\n172.16.0.3 db.shop.internal # ConPaaS\n", false, db)
	apply(own, true)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v; want the one that it had", info.Mode(), err)
	}
}

// A hosts file that is a mount of its own cannot be replaced.
func TestNamesWhereTheFileIsAMount(t *testing.T) {
	h := hosttest.New(t)
	file, real := filepath.Join(h.Root(), "etc/hosts"), filepath.Join(t.TempDir(), "hosts")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{file: "", real: "127.0.0.1 localhost and a comment that makes it longer than what follows\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("mount", "--bind", real, file).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", file).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	}()
	if _, err := h.ApplyNames([]api.HostName{{Name: "db.shop.internal", Addresses: addresses("172.16.0.2")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ApplyNames(nil); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(real); err != nil || string(text) != "127.0.0.1 localhost and a comment that makes it longer than what follows\n" {
		t.Errorf("the mounted file is %q, %v", text, err)
	}
}
