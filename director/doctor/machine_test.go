package doctor

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/director/config"
	"conpaas/director/store"
	"conpaas/vpn"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func healthy() machine {
	return machine{
		now:   func() time.Time { return noon },
		clock: func() (bool, time.Duration, error) { return true, time.Millisecond, nil },
		disk: func(string) (unix.Statfs_t, error) {
			return unix.Statfs_t{Bsize: 4096, Blocks: 1 << 24, Bavail: 1 << 23, Files: 1 << 20, Ffree: 1 << 19}, nil
		},
		resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
		},
		addresses: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil },
	}
}

// expect holds one finding of a check to a state and a word in its detail; what is not ok has a remedy.
func expect(t *testing.T, findings []Finding, check string, state State, word string) {
	t.Helper()
	for _, f := range findings {
		if f.Check != check {
			continue
		}
		if f.State != state || !strings.Contains(f.Detail, word) {
			t.Errorf("%s is %s (%s), want %s with %q", check, f.State, f.Detail, state, word)
		}
		if (f.State == OK) != (f.Remedy == "") {
			t.Errorf("%s is %s with the remedy %q", check, f.State, f.Remedy)
		}
		return
	}
	t.Errorf("no finding %s in %v", check, findings)
}

func TestClock(t *testing.T) {
	m := healthy()
	e := store.Examination{Exists: true, Newest: noon.Add(-time.Minute), Installation: store.Installation{Fence: uint64(noon.Unix())}}
	expect(t, m.timekeeping(e), "clock", OK, "after the newest entry")
	expect(t, m.timekeeping(e), "clock synchronisation", OK, "1ms")
	expect(t, m.timekeeping(store.Examination{}), "clock", OK, "2030")

	late := e
	late.Newest = noon.Add(time.Hour)
	expect(t, m.timekeeping(late), "clock", Error, "1h0m0s behind the newest entry")
	ahead := e
	ahead.Installation.Fence += 86400
	expect(t, m.timekeeping(ahead), "clock", Warning, "24h0m0s behind what it was at a start")

	m.clock = func() (bool, time.Duration, error) { return false, 0, nil }
	expect(t, m.timekeeping(e), "clock synchronisation", Warning, "nothing keeps")
	m.clock = func() (bool, time.Duration, error) { return false, 0, errors.New("not here") }
	expect(t, m.timekeeping(e), "clock synchronisation", Warning, "not here")
}

func TestDisk(t *testing.T) {
	for _, c := range []struct {
		stat          unix.Statfs_t
		space, inodes State
	}{
		{unix.Statfs_t{Bsize: 4096, Blocks: 1 << 24, Bavail: 1 << 23, Files: 1 << 20, Ffree: 1 << 19}, OK, OK},
		{unix.Statfs_t{Bsize: 4096, Blocks: 1 << 24, Bavail: 1 << 20, Files: 1 << 20, Ffree: 9999}, Warning, Warning},
		{unix.Statfs_t{Bsize: 4096, Blocks: 1 << 24, Bavail: 1 << 12, Files: 1 << 20, Ffree: 499}, Error, Error},
		{unix.Statfs_t{Bsize: 4096, Blocks: 1 << 17, Bavail: 1<<17 - 1, Files: 4000, Ffree: 3900}, Warning, OK},
	} {
		m := healthy()
		m.disk = func(string) (unix.Statfs_t, error) { return c.stat, nil }
		found := m.space("/data")
		expect(t, found, "disk space", c.space, "/data")
		expect(t, found, "inodes", c.inodes, "/data")
	}
	m := healthy()
	m.disk = func(string) (unix.Statfs_t, error) {
		return unix.Statfs_t{Bsize: 4096, Blocks: 1 << 24, Bavail: 1 << 23}, nil
	}
	if found := m.space("/data"); len(found) != 1 {
		t.Errorf("of a file system without a table of inodes: %v", found)
	}
	m.disk = func(string) (unix.Statfs_t, error) { return unix.Statfs_t{}, unix.EIO }
	expect(t, m.space("/data"), "disk space", Error, "input/output")
}

func TestName(t *testing.T) {
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	named := func(host string) *config.Config {
		return &config.Config{URL: &url.URL{Scheme: "https", Host: host + ":5555"}, VPN: config.VPN{Plan: plan}}
	}
	m := healthy()
	expect(t, m.name(t.Context(), named("director.example.org")), "name", OK, "director.example.org is 192.0.2.7")
	expect(t, m.name(t.Context(), named("127.0.0.1")), "name", OK, "127.0.0.1")
	expect(t, m.name(t.Context(), named("192.0.2.8")), "name", Warning, "no address of this host")
	expect(t, m.name(t.Context(), named("172.17.0.1")), "name", Error, "overlay network 172.16.0.0/12")
	m.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	expect(t, m.name(t.Context(), named("director.example.org")), "name", Error, "no such host")
}

func TestCertificateLives(t *testing.T) {
	authority, err := ca.New("test", noon.Add(-700*24*time.Hour), 800*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	e := store.Examination{Authorities: [][]byte{certs.CertificatePEM(authority.Certificate())}}
	for _, c := range []struct {
		day   int
		state State
		word  string
	}{{-701, Error, "only from"}, {-1, OK, "good until"}, {1, Warning, "expires at"}, {101, Error, "has expired"}} {
		m := healthy()
		m.now = func() time.Time { return noon.AddDate(0, 0, c.day) }
		expect(t, m.authorities(e), "CA certificate", c.state, c.word)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	if f := mayUse(dir + "/later/data"); f.State != OK || !strings.Contains(f.Detail, "not there yet") {
		t.Errorf("of a folder that is not there: %+v", f)
	}
	if err := unix.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	expect(t, []Finding{mayUse(dir)}, "data folder", Warning, "mode 755")
	if err := unix.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	expect(t, []Finding{mayUse(dir)}, "data folder", OK, dir)
	expect(t, []Finding{mayUse("/proc/self/status")}, "data folder", Error, "no folder")
}
