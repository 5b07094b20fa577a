package doctor_test

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/director/config"
	"conpaas/director/directortest"
	"conpaas/director/doctor"
	"conpaas/vpn"
)

// hostOf is the host of a director of a test.
func hostOf(t *testing.T, d *directortest.Director) doctor.Host {
	t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	return doctor.Host{
		Config: &config.Config{Dir: d.Dir, Database: filepath.Join(d.Dir, "director.db"), URL: u, VPN: config.VPN{Plan: plan}},
		Listen: "127.0.0.1:" + u.Port(), RelayDir: filepath.Join(d.Dir, "relay"),
		Clouds: []doctor.Cloud{{Name: "default", Check: func(context.Context) []api.Check {
			return []api.Check{{Name: "login", OK: true, Detail: "works"}}
		}}},
	}
}

// holds looks and holds what is found to the states named; all other findings must be no errors.
func holds(t *testing.T, h doctor.Host, want map[string]doctor.State) map[string]doctor.Finding {
	t.Helper()
	found := make(map[string]doctor.Finding)
	for _, f := range doctor.Look(t.Context(), h) {
		found[f.Check] = f
		if w, named := want[f.Check]; named && f.State != w || !named && f.State == doctor.Error {
			t.Errorf("%s is %s: %s", f.Check, f.State, f.Detail)
		}
		if f.State != doctor.OK && f.Remedy == "" {
			t.Errorf("%s is %s and has no remedy", f.Check, f.State)
		}
	}
	for check := range want {
		if found[check].Check == "" {
			t.Errorf("there is no finding %s", check)
		}
	}
	return found
}

func TestLookBesideADirectorAndWithout(t *testing.T) {
	d, err := directortest.Open(t, directortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := hostOf(t, d)
	well := map[string]doctor.State{
		"database": doctor.OK, "key file": doctor.OK, "fence": doctor.OK, "CA certificate": doctor.OK, "port": doctor.OK,
		"clock": doctor.OK, "name": doctor.OK, "cloud default: login": doctor.OK,
	}
	serving := map[string]doctor.State{"certificate": doctor.OK}
	for check, state := range well {
		serving[check] = state
	}
	if f := holds(t, h, serving)["port"]; !strings.Contains(f.Detail, "answers") {
		t.Errorf("port of a director that serves: %s", f.Detail)
	}

	moved := h
	moved.Config = new(config.Config)
	*moved.Config = *h.Config
	moved.Config.URL = &url.URL{Scheme: "https", Host: "127.0.0.1:5555"}
	holds(t, moved, map[string]doctor.State{"certificate": doctor.Error})
	elsewhere := h
	elsewhere.Listen = "127.0.0.1:0"
	holds(t, elsewhere, map[string]doctor.State{"port": doctor.Error})

	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	if f := holds(t, h, well)["port"]; !strings.Contains(f.Detail, "free") {
		t.Errorf("port without a director: %s", f.Detail)
	}
	squatter, err := net.Listen("tcp", h.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	holds(t, h, map[string]doctor.State{"port": doctor.Error})
}

func TestLookFindsWhatIsBroken(t *testing.T) {
	d, err := directortest.Open(t, directortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := hostOf(t, d)
	holds(t, h, map[string]doctor.State{"port": doctor.OK}) // it serves
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	h.Clouds[0].Check = func(context.Context) []api.Check { return []api.Check{{Name: "login", Detail: "refused"}} }
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h.Relay = taken.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := os.Chmod(filepath.Join(d.Dir, "secret.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	holds(t, h, map[string]doctor.State{"key file": doctor.Error, "cloud default: login": doctor.Error, "relay port": doctor.Error, "database": doctor.OK})
	if err := os.WriteFile(h.Config.Database, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	found := doctor.Look(t.Context(), h)
	if doctor.Worst(found) != doctor.Error {
		t.Errorf("with a database that is none the worst is %s", doctor.Worst(found))
	}
	holds(t, h, map[string]doctor.State{"database": doctor.Error, "key file": doctor.Error, "cloud default: login": doctor.Error, "relay port": doctor.Error})
}
