package local_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/all"
	"conpaas/director/cloud/local"
)

// TestSettings refuses every wrong setting with the name of the option, and touches nothing.
func TestSettings(t *testing.T) {
	t.Parallel()
	driver, ok := all.Drivers()["local"]
	if !ok || driver.Kind != "local" {
		t.Fatal("the local cloud is not in the table")
	}
	for _, o := range driver.Options {
		if o.Name == "" || o.Help == "" || o.Name != strings.ToUpper(o.Name) {
			t.Errorf("option %+v has no name in capitals or no help", o)
		}
	}
	dir := filepath.Join(t.TempDir(), "cloud")
	for _, c := range []struct{ option, value, says string }{
		{"RUNTIME", "vm", "IMAGE"},
		{"RUNTIME", "machine", "RUNTIME"},
		{"RUNTIM", "container", "RUNTIME"},
		{"ROOTFS", "relative.tar", "relative.tar"},
		{"ROOTFS", "/a:b", "/a:b"},
		{"SUBNET", "10.210.0.0", "SUBNET"},
		{"SUBNET", "10.210.0.1/16", "SUBNET"},
		{"SUBNET", "fd00::/64", "SUBNET"},
		{"SUBNET", "10.0.0.0/30", "SUBNET"},
		{"SUBNET", "172.17.0.0/16", "overlay"},
		{"SUBNET", "172.0.0.0/8", "overlay"},
		{"SUBNET", "172.31.255.0/24", "overlay"},
		{"SUBNET", "127.1.0.0/16", "SUBNET"},
		{"DIRECTOR_PORT", "0", "DIRECTOR_PORT"},
		{"DIRECTOR_PORT", "65536", "DIRECTOR_PORT"},
		{"DIRECTOR_PORT", "x", "DIRECTOR_PORT"},
		{"UNDERLAY_PORTS", "51820", "UNDERLAY_PORTS"},
		{"UNDERLAY_PORTS", "3-2", "UNDERLAY_PORTS"},
		{"UNDERLAY_PORTS", "0-2", "UNDERLAY_PORTS"},
		{"PUBLISH_PORTS", "1-70000", "PUBLISH_PORTS"},
		{"MEMORY_MIB", "1", "MEMORY_MIB"},
		{"CPUS", "-1", "CPUS"},
		{"PROCESSES", "1", "PROCESSES"},
		{"FIRST_ID", "0", "FIRST_ID"},
		{"FIRST_ID", "2147483647", "FIRST_ID"},
		{"FAULTS", "lunch:1:quota", "lunch"},
	} {
		_, err := driver.Open(t.Context(), cloud.Config{Name: "default", Dir: dir, Options: map[string]string{c.option: c.value}})
		if cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%s: %v", c.option, c.value, err)
		}
	}
	for option, value := range map[string]string{"IMAGE": "relative.raw", "FIRMWARE": "open"} {
		options := map[string]string{"RUNTIME": local.RuntimeVM, "IMAGE": "/image.raw"}
		options[option] = value
		if _, err := driver.Open(t.Context(), cloud.Config{Dir: dir, Options: options}); err == nil || !strings.Contains(err.Error(), value) {
			t.Errorf("%s=%s of virtual machines: %v", option, value, err)
		}
	}
	process := map[string]string{"RUNTIME": local.RuntimeProcess, "SUBNET": "10.0.0.0/16"}
	if _, err := driver.Open(t.Context(), cloud.Config{Dir: dir, Options: process}); err == nil {
		t.Error("processes may have addresses outside 127.0.0.0/8")
	}
	overlay := cloud.Config{Dir: dir, Overlay: netip.MustParsePrefix("10.128.0.0/9")}
	if _, err := driver.Open(t.Context(), overlay); err == nil || !strings.Contains(err.Error(), "10.128.0.0/9") {
		t.Errorf("the default network overlaps the overlay: %v", err)
	}
	for _, bad := range []string{"", "relative", "/a,b"} {
		if _, err := driver.Open(t.Context(), cloud.Config{Dir: bad}); err == nil {
			t.Errorf("the directory %q is allowed", bad)
		}
	}
	if _, err := driver.Open(t.Context(), cloud.Config{Dir: dir}); err != nil {
		t.Errorf("without options: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("open made the directory")
	}
}

// TestHostNetwork: a network that the host uses is refused by Start and told by Check.
func TestHostNetwork(t *testing.T) {
	t.Parallel()
	routes, err := os.ReadFile("/proc/self/net/route")
	if err != nil {
		t.Fatal(err)
	}
	subnet := ""
	for line := range strings.Lines(string(routes)) {
		if f := strings.Fields(line); len(f) > 7 && len(f[1]) == 8 && f[1] != "00000000" && f[7] != "00000000" {
			b := func(i int) byte { return hex(f[1][i])<<4 | hex(f[1][i+1]) }
			subnet = netip.PrefixFrom(netip.AddrFrom4([4]byte{b(6), b(4), b(2), b(0)}), 29).Masked().String()
		}
	}
	if subnet == "" {
		t.Fatalf("this host has no route besides the default one: %s", routes)
	}
	l := open(t, configuration(t, map[string]string{"SUBNET": subnet}))
	if err := l.Start(t.Context()); cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), subnet) {
		t.Errorf("start in %s: %v", subnet, err)
	}
	told := false
	for _, c := range l.Check(t.Context()) {
		told = told || c.Name == "SUBNET" && !c.OK && strings.Contains(c.Detail, subnet)
	}
	if !told {
		t.Error("check does not tell it")
	}
}

func hex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

// TestSpecs refuses what cannot be launched, by kind, and makes nothing of it.
func TestSpecs(t *testing.T) {
	t.Parallel()
	l := start(t, configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess}))
	good := cloud.Spec{Token: "n1-1", UserData: userData()}
	for name, change := range map[string]func(*cloud.Spec){
		"token with a path": func(s *cloud.Spec) { s.Token = "../x" }, "long token": func(s *cloud.Spec) { s.Token = strings.Repeat("x", 129) },
		"no user-data": func(s *cloud.Spec) { s.UserData = nil }, "no script": func(s *cloud.Spec) { s.UserData = []byte("\x7fELF") },
		"big user-data": func(s *cloud.Spec) { s.UserData = []byte("#!" + strings.Repeat("x", 256<<10)) }, "other deployment": func(s *cloud.Spec) { s.Deployment = "d2" },
		"no memory": func(s *cloud.Spec) { s.MemoryMiB = -1 }, "no processors": func(s *cloud.Spec) { s.CPUs = -1 }, "port 0": func(s *cloud.Spec) { s.Publish = []uint16{80, 0} },
		"many ports": func(s *cloud.Spec) { s.Publish = make([]uint16, 65) },
	} {
		spec := good
		change(&spec)
		if id, err := l.Launch(t.Context(), spec); cloud.KindOf(err) != cloud.KindPermanent {
			t.Errorf("%s: %s, %v", name, id, err)
		}
	}
	for _, spec := range []cloud.Spec{{Token: "n1-1", UserData: userData(), Size: "small"}, {Token: "n1-1", UserData: userData(), Image: "debian"}} {
		if id, err := l.Launch(t.Context(), spec); cloud.KindOf(err) != cloud.KindNotFound {
			t.Errorf("%+v: %s, %v", spec, id, err)
		}
	}
	if list, err := l.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("made were %v, %v", list, err)
	}
	good.Deployment = "d1"
	if _, err := l.Launch(t.Context(), good); err != nil {
		t.Error(err)
	}
}

// TestProcessDefault: the options alone decide; a container cloud without an image does not become something else.
func TestProcessDefault(t *testing.T) {
	t.Parallel()
	c := configuration(t, nil)
	c.Options = map[string]string{"ROOTFS": "/missing/rootfs.tar"}
	l := start(t, c)
	id, err := l.Launch(t.Context(), cloud.Spec{Token: "n1-1", UserData: userData()})
	if cloud.KindOf(err) != cloud.KindPermanent || !strings.Contains(err.Error(), "ROOTFS") {
		t.Errorf("launched %s, %v", id, err)
	}
}
