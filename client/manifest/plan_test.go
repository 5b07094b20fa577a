package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

var planKinds = []api.ServiceKind{
	{Type: "php", Code: true, Hosting: true, Settings: []api.Setting{{Name: "memory_limit", Kind: api.SettingSize}}, Roles: []api.RoleKind{{Role: "proxy", Start: 1, Min: 1}, {Role: "web"}, {Role: "backend"}}},
	{Type: "mysql", Roles: []api.RoleKind{{Role: "mysql", Start: 1, Min: 1}, {Role: "glb"}}},
}

// told writes steps as people see them.
func told(steps []Step) (lines []string) {
	for _, s := range steps {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", s.Service, s.Verb, s.Text))
	}
	return lines
}

func shop() Manifest {
	return Manifest{Application: "shop", Services: []Service{
		{
			Name: "front", Type: "php", Start: true, Archive: "shop.tar.gz", StartupScript: "start.sh", StartupInstances: map[api.Role]int{"proxy": 1, "backend": 2},
			Settings: map[string]string{"memory_limit": "64M"}, Environment: map[string]string{"MODE": "live", "DEBUG": ""}, Links: []string{"db"},
			Secrets: map[string]api.Secret{"KEY": "very secret", "OTHER": Masked},
		},
		{Name: "db", Type: "mysql", Start: true, Password: "very secret", Dump: "shop.sql"},
	}, Volumes: []Volume{{Name: "files", Service: "front"}, {Name: "spare", Size: 64}}}
}

func TestPlanOfNew(t *testing.T) {
	t.Parallel()
	steps := Plan(nil, shop(), Digests{"shop.tar.gz": "a", "start.sh": "b"}, planKinds, true)
	want := []string{
		`: create application: application "shop" is created`,
		"front: add service: a service of type php is added",
		"db: add service: a service of type mysql is added",
		"front: set environment: DEBUG=, MODE=live, KEY=***, a new secret OTHER, linked with db",
		"front: set start-up script: new machines run the start-up script start.sh",
		"front: create volume: volume files of 1024 MiB is created for the role proxy",
		"front: upload code: its code is shop.tar.gz",
		"front: start: it is started",
		"front: change machines: machines: backend 0 → 2",
		"db: set password: password ***",
		"db: start: it is started",
		"db: load dump: shop.sql is loaded, unless there is something in the database already",
		": create volume: volume spare of 64 MiB is created",
	}
	if d := cmp.Diff(want, told(steps)); d != "" {
		t.Error(d)
	}
	for _, s := range steps {
		if strings.Contains(s.Text, "secret ") && strings.Contains(fmt.Sprintf("%+v", s), "very secret") {
			t.Errorf("a secret is seen: %+v", s)
		}
	}
}

// live is shop as it runs, but for what cannot be seen.
func live() *Live {
	m := shop()
	m.Services[0].Archive, m.Services[0].StartupScript = "", ""
	m.Services[0].Secrets = map[string]api.Secret{"KEY": Masked, "OTHER": Masked}
	m.Services[1].Password, m.Services[1].Dump = Masked, ""
	m.Volumes = []Volume{{Name: "files", Size: 1024, Service: "front", Role: "proxy"}, {Name: "spare", Size: 64}}
	return &Live{
		Manifest: m, Archives: map[string]string{"front": "a"}, Scripts: map[string]string{"front": "b"},
		Versions: map[string]CodeVersions{"front": {"a": "code-aaaaaa", "c": "code-cccccc"}},
	}
}

func TestPlanOfLive(t *testing.T) {
	t.Parallel()
	digests := Digests{"shop.tar.gz": "a", "start.sh": "b", "other.tar.gz": "c", "third.tar.gz": "d"}
	without := func(m *Manifest) { // what is always done, since nobody sees whether it is so already
		m.Services[0].Secrets, m.Services[1].Password, m.Services[1].Dump = nil, "", ""
	}
	for name, c := range map[string]struct {
		change func(*Manifest)
		prune  bool
		want   []string
	}{
		"nothing":            {func(*Manifest) {}, true, nil},
		"another version":    {func(m *Manifest) { m.Services[0].Archive = "other.tar.gz" }, true, []string{"front: enable code: its code is version code-cccccc, which is other.tar.gz"}},
		"other code":         {func(m *Manifest) { m.Services[0].Archive = "third.tar.gz" }, true, []string{"front: upload code: its code is third.tar.gz"}},
		"a setting":          {func(m *Manifest) { m.Services[0].Settings["memory_limit"] = "1G" }, true, []string{"front: configure: settings memory_limit=1G"}},
		"the same setting":   {func(m *Manifest) { m.Services[0].Settings["memory_limit"] = "064m" }, true, nil},
		"a variable":         {func(m *Manifest) { m.Services[0].Environment["MODE"] = "test" }, true, []string{"front: set environment: MODE=test"}},
		"fewer machines":     {func(m *Manifest) { m.Services[0].StartupInstances["backend"] = 1 }, true, []string{"front: change machines: machines: backend 2 → 1"}},
		"stopped":            {func(m *Manifest) { m.Services[0].Start = false }, true, []string{"front: stop: it is stopped"}},
		"other links":        {func(m *Manifest) { m.Services[0].Links = []string{"new"} }, true, []string{"front: set environment: linked with new, no longer linked with db"}},
		"links are not told": {func(m *Manifest) { m.Services[0].Links = nil }, true, nil},
		"a volume moves": {func(m *Manifest) { m.Volumes[0].Role = "backend" }, true, []string{
			"front: detach volume: volume files is taken from service front", "front: attach volume: volume files is attached for the role backend",
		}},
		"a volume is given": {func(m *Manifest) { m.Volumes[1].Service = "db" }, true, []string{"db: attach volume: volume spare is attached for the role mysql"}},
		"a volume is kept":  {func(m *Manifest) { m.Volumes = []Volume{{Name: "files"}} }, true, nil},
		"a service less":    {func(m *Manifest) { m.Services = m.Services[:1] }, true, []string{"db: remove service: it is removed with its machines: the manifest does not have it"}},
		"it is kept":        {func(m *Manifest) { m.Services = m.Services[:1] }, false, nil},
		"a service more": {func(m *Manifest) { m.Services = append(m.Services, Service{Name: "second", Type: "mysql"}) }, false, []string{
			"second: add service: a service of type mysql is added",
		}},
	} {
		m := shop()
		without(&m)
		c.change(&m)
		if d := cmp.Diff(c.want, told(Plan(live(), m, digests, planKinds, c.prune))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// A service that was started and does not serve is started again, which waits for it.
func TestPlanOfWaiting(t *testing.T) {
	t.Parallel()
	now := live()
	now.Waits = map[string]string{"db": "ERROR: there is no room"}
	m := Manifest{Application: "shop", Services: []Service{{Name: "db", Type: "mysql", Start: true}}}
	want := []string{"db: start: it is waited for: it is ERROR: there is no room"}
	if d := cmp.Diff(want, told(Plan(now, m, nil, planKinds, false))); d != "" {
		t.Error(d)
	}
}

func TestDiffers(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*Manifest){
		"": func(*Manifest) {},
		`application "shop" is on cloud default, not on ec2`:       func(m *Manifest) { m.Cloud = "ec2" },
		`service "db" is of type mysql, not php; give one of them`: func(m *Manifest) { m.Services[1].Type = "php" },
		"with the links that there are, they go in a circle: db → front → db": func(m *Manifest) {
			m.Services = []Service{{Name: "db", Type: "mysql", Links: []string{"front"}}}
		},
		"volume spare has 64 MiB, not 128, and volumes do not grow": func(m *Manifest) { m.Volumes[1].Size = 128 },
		"volume spare is on another cloud than ec2":                 func(m *Manifest) { m.Volumes[1].Cloud = "ec2" },
		`service "db" is on another cloud than ec2`:                 func(m *Manifest) { m.Services[1].Cloud = "ec2" },
	} {
		now, m := live(), shop()
		now.Cloud = "default"
		change(&m)
		if got := now.Differs(m); !strings.HasPrefix(got, says) || got != "" && says == "" {
			t.Errorf("it says %q, want %q", got, says)
		}
	}
}
