package manifest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conpaas/client/api"
)

// The form that users of ConPaaS have in their files.
const original = `{
	"Services" : [
		{
			"ServiceName" : "PHP frontend",
			"Type" : "php",
			"Cloud" : "default",
			"Start" : 0,
			"Archive" : "http://www.example.org/wordpress.tar.gz",
			"StartupInstances" : { "proxy" : "1", "web" : "1", "backend" : 2 },
			"StartupScript" : "http://www.example.org/start.sh"
		},
		{ "Type" : "mysql", "Dump" : "dump.sql", "Password" : "contrail123", "StartupInstances" : { "mysql" : 1, "glb": "0" } }
	],
	"Description" : "A blog",
	"Application" : "New blog"
}`

func want() Manifest {
	return Manifest{
		Application: "New blog", Description: "A blog",
		Services: []Service{
			{
				Name: "PHP frontend", Type: "php", Cloud: "default", Archive: "http://www.example.org/wordpress.tar.gz",
				StartupInstances: map[api.Role]int{"proxy": 1, "web": 1, "backend": 2}, StartupScript: "http://www.example.org/start.sh",
			},
			{Type: "mysql", Start: true, Dump: "dump.sql", Password: "contrail123", StartupInstances: map[api.Role]int{"mysql": 1, "glb": 0}},
		},
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := Parse([]byte(original))
	if d := cmp.Diff(want(), m); err != nil || d != "" {
		t.Errorf("JSON: %v\n%s", err, d)
	}
	m, err = Parse([]byte(`
# a comment
Application: New blog
Description: A blog
Services:
- ServiceName: PHP frontend
  Type: php
  Cloud: default
  Start: 0
  Archive: http://www.example.org/wordpress.tar.gz
  StartupInstances: {proxy: 1, web: 1, backend: 2}
  StartupScript: http://www.example.org/start.sh
- Type: mysql
  Dump: dump.sql
  Password: contrail123
  StartupInstances:
    mysql: 1
    glb: 0
`))
	if d := cmp.Diff(want(), m); err != nil || d != "" {
		t.Errorf("YAML: %v\n%s", err, d)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"Services": [{"VolumeStart": 1}]}`:                        "unknown key; the nearest known one is Start",
		`{"Volumes": [{"Nam": "a"}]}`:                               "line 1: Volumes[0].Nam: unknown key; the nearest known one is Name",
		`{"Volumes": [{"Size": "2G"}]}`:                             `Volumes[0].Size: want a number from 0, not "2G"`,
		`{"Aplication": "a"}`:                                       "line 1: Aplication: unknown key; the nearest known one is Application",
		"{\n\"Services\": [\n{\"Typ\": \"php\"}]}":                  "line 3: Services[0].Typ: unknown key; the nearest known one is Type",
		`{"Application": "a", "Application": "b"}`:                  "line 1: Application: it is there twice",
		"Application: a\nApplication: b":                            "line 2: Application: it is there twice",
		`{"Services": {"Type": "php"}}`:                             "Services: want a list, not a group of keys",
		`{"Services": ["php"]}`:                                     `Services[0]: want an object with keys, not "php"`,
		`{"Services": [{"Start": "maybe"}]}`:                        `Services[0].Start: want 0 or 1, not "maybe"`,
		`{"Services": [{"StartupInstances": {"web": -1}}]}`:         `Services[0].StartupInstances.web: want a number from 0, not "-1"`,
		`{"Services": [{"StartupInstances": {"web": 1e3}}]}`:        `want a number from 0, not "1e3"`,
		`{"Services": [{"Environment": {"A": ["b"]}}]}`:             "Services[0].Environment.A: want a text, not a list",
		`{"Services": [{"Environment": {"A": "b", "A": "c"}}]}`:     "Services[0].Environment.A: it is there twice",
		`{"Application": "a"`:                                       "line 1: it is no JSON: it ends in the middle",
		"{\"Application\":\n\"a\",}":                                "line 2: it is no JSON",
		`{"Application": "a"} x`:                                    "it is no JSON",
		"Application: [a":                                           "it is no YAML",
		"Application: &a x\nCloud: *a":                              "line 2: a manifest has no anchors and aliases",
		"Application: a\n---\nApplication: b":                       "something follows after the document",
		"":                                                          "it is empty",
		"\xff":                                                      "it is not a text of UTF-8",
		strings.Repeat("[", 40) + strings.Repeat("]", 40):           "it is nested deeper than 16 levels",
		"a:\n" + strings.Repeat("- ", 40) + "b":                     "it is nested deeper than 16 levels",
		strings.Repeat(" ", Largest+1):                              "it has more than 1048576 bytes",
		`{"Application": "a", "Services": [{"Typ": 1}], "Clod": 1}`: "Clod: unknown key; the nearest known one is Cloud",
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrManifest) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80q: %v; want %q", text, err, says)
		}
	}
}

// What is written means what was read, and its secrets are masked.
func FuzzParse(f *testing.F) {
	f.Add([]byte(original))
	f.Add([]byte("Application: a\nVolumes:\n- {Name: files, Size: 64, Service: b, Role: node}\n- {Name: spare, Cloud: c}\n"))
	f.Add([]byte("Application: a\nServices:\n- Type: php\n    Secrets: {A: b}\n  Settings: {greeting: 'no', b: '0x1'}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		for form, write := range map[string]func() ([]byte, error){"JSON": m.JSON, "YAML": m.YAML} {
			text, err := write()
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			again, err := Parse(text)
			if err != nil {
				t.Fatalf("%s: %v\n%s", form, err, text)
			}
			for _, s := range again.Services {
				if s.Password != "" && s.Password != Masked {
					t.Errorf("%s shows a password", form)
				}
			}
			if second, err := again.JSON(); err != nil {
				t.Fatal(err)
			} else if first, _ := m.JSON(); string(first) != string(second) {
				t.Errorf("%s: it was\n%s\nand is\n%s", form, first, second)
			}
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	kinds := []api.ServiceKind{
		{Type: "php", Code: true, Hosting: true, Roles: []api.RoleKind{{Role: "proxy", Min: 1}, {Role: "web"}, {Role: "backend"}}, Settings: []api.Setting{{Name: "memory_limit", Kind: api.SettingSize, Min: "1M", Max: "4G"}}},
		{Type: "mysql", Roles: []api.RoleKind{{Role: "mysql", Min: 1, Volume: &api.VolumeKind{Name: "data"}}, {Role: "glb"}}},
	}
	m := want()
	m.Complete()
	if err := m.Check(kinds); err != nil {
		t.Error(err)
	}
	if m.Services[1].Name != "mysql" {
		t.Errorf("the database is called %q", m.Services[1].Name)
	}
	m.Services = append(m.Services, Service{Type: "mysql"})
	if m.Complete(); m.Services[2].Name != "mysql-2" {
		t.Errorf("the second database is called %q", m.Services[2].Name)
	}
	for says, change := range map[string]func(*Manifest){
		"Application: name the application":                                                                        func(m *Manifest) { m.Application = "" },
		`Application: invalid name "9"`:                                                                            func(m *Manifest) { m.Application = "9" },
		"Services[0].Type: name the type":                                                                          func(m *Manifest) { m.Services[0].Type = "" },
		`no services of type "mysqls", the nearest is mysql`:                                                       func(m *Manifest) { m.Services[1].Type = "mysqls" },
		`Services[1].ServiceName: Services[0] has the name "php frontend" already`:                                 func(m *Manifest) { m.Services[1].Name = "php frontend" },
		"Services[0].StartupInstances.proxy: it needs at least 1":                                                  func(m *Manifest) { m.Services[0].StartupInstances["proxy"] = 0 },
		"Services[0].StartupInstances.glb: services of type php have no such role; there are: proxy, web, backend": func(m *Manifest) { m.Services[0].StartupInstances["glb"] = 1 },
		"Services[0].Settings.memory: services of type php have no such setting; the nearest is memory_limit":      func(m *Manifest) { m.Services[0].Settings = map[string]string{"memory": "1"} },
		`Services[0].Settings.memory_limit: "lots": want a number of bytes from 1M to 4G`:                          func(m *Manifest) { m.Services[0].Settings = map[string]string{"memory_limit": "lots"} },
		"Services[1].VolumeStartup: services of type mysql have no such key here; leave it out":                    func(m *Manifest) { m.Services[1].Foreign = []string{"VolumeStartup"} },
		"Services[1].Archive: services of type mysql run no code":                                                  func(m *Manifest) { m.Services[1].Archive = "a" },
		`Services[0].Links[0]: the manifest has no service "mysqls"; the nearest is mysql`:                         func(m *Manifest) { m.Services[0].Links = []string{"mysqls"} },
		"Services[1].Links[0]: a service cannot be linked with itself":                                             func(m *Manifest) { m.Services[1].Links = []string{"mysql"} },
		`Volumes[0].Name: "../x" is no name of a volume`:                                                           func(m *Manifest) { m.Volumes = []Volume{{Name: "../x"}} },
		`Volumes[1].Name: there is a volume "Files" already`:                                                       func(m *Manifest) { m.Volumes = []Volume{{Name: "files"}, {Name: "Files"}} },
		"Volumes[0].Size: 1 MiB cannot be the size of a volume: want 16 to":                                        func(m *Manifest) { m.Volumes = []Volume{{Name: "files", Size: 1}} },
		`Volumes[0].Service: the manifest has no service "mysq"; the nearest is mysql`:                             func(m *Manifest) { m.Volumes = []Volume{{Name: "files", Service: "mysq"}} },
		"Volumes[0].Role: services of type mysql have no such role; there are: mysql, glb":                         func(m *Manifest) { m.Volumes = []Volume{{Name: "files", Service: "mysql", Role: "web"}} },
		"Volumes[0].Role: a role is of a service; name that, too":                                                  func(m *Manifest) { m.Volumes = []Volume{{Name: "files", Role: "web"}} },
		`Volumes[0].Cloud: it is on the cloud of service "mysql"; leave this out`:                                  func(m *Manifest) { m.Volumes = []Volume{{Name: "files", Service: "mysql", Cloud: "a"}} },
		`the machines of role mysql of service "mysql" have a volume of that name already`:                         func(m *Manifest) { m.Volumes = []Volume{{Name: "data", Service: "mysql"}} },
		"Links: they go in a circle: PHP frontend → mysql → PHP frontend": func(m *Manifest) {
			m.Services[0].Links, m.Services[1].Links = []string{"mysql"}, []string{"PHP frontend"}
		},
	} {
		m := want()
		m.Complete()
		change(&m)
		if err := m.Check(kinds); !errors.Is(err, ErrManifest) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	m := want()
	m.Complete()
	m.Services[0].Links = []string{"mysql"}
	m.Volumes = []Volume{{Name: "files", Service: "mysql"}, {Name: "spare"}}
	m.Without("mysql")
	if len(m.Volumes) != 1 || len(m.Services) != 1 || len(m.Services[0].Links) != 0 {
		t.Errorf("what is left is %+v", m.Services)
	}
}

// A service of the original whose type there is not here can be left out, with the keys that only it has.
func TestWithoutForeign(t *testing.T) {
	t.Parallel()
	m, err := Parse([]byte(`{"Application": "blog", "Services": [
		{"Type": "xtreemfs", "ServiceName": "files", "VolumeStartup": {"volumeName": "data", "owner": "www-data"}, "StartupInstances": {"osd": "1"}}
	]}`))
	if err != nil || len(m.Services) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	m.Without("xtreemfs")
	if err := m.Check(nil); err != nil {
		t.Error(err)
	}
}
