package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/login"
)

func TestConfigurationFiles(t *testing.T) {
	for _, c := range []struct {
		text string
		want access
		bad  string
	}{
		{"", access{}, ""},
		{"[cps-tools]\n", access{}, ""},
		{
			"\ufeff[cps-tools]\r\ndirector_url = director.example.org\r\nUSERNAME: ann\r\npassword = a=b # c%d \r\ndebug = True\r\n",
			access{"https://director.example.org:5555", "ann", "a=b # c%d", "", true},
			"",
		},
		{"; none\n[cps-tools]\ndirector_url=https://[::1]:7000\nusername =\ndebug=false", access{url: "https://[::1]:7000"}, ""},
		{"username = ann\n", access{}, "line 1: [cps-tools] must stand before the first option"},
		{"[cps-tools]\n[other]\n", access{}, "line 2: the only section is [cps-tools]"},
		{"[cps-tools]\nusername = ann\n  bob\n", access{}, "line 3: it begins with a space; an option has one line"},
		{"[cps-tools]\nusername = ann\nUsername = bob\n", access{}, "line 3: username is in line 2 already"},
		{"[cps-tools]\nhunter2\n", access{}, "line 2: it must be NAME = VALUE"},
		{"[cps-tools]\ndebug = 1\n", access{}, "debug: it must be true or false"},
		{"[cps-tools]\ndirector_url = http://a\n", access{}, `director_url: "http://a": a director is spoken to by https, not by "http"`},
	} {
		got, err := parseConf(c.text)
		if c.bad == "" && err != nil || c.bad != "" && (err == nil || err.Error() != c.bad) || got != c.want {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
}

func TestAPasswordIsForOneUserOfOneDirector(t *testing.T) {
	weak := access{url: "https://a:1", username: "ann", password: "p"}
	for _, c := range []struct {
		by   access
		want api.Secret
	}{
		{access{}, "p"},
		{access{url: "https://a:1", username: "ann"}, "p"},
		{access{url: "https://b:1"}, ""},
		{access{username: "bob"}, ""},
		{access{username: "bob", password: "q"}, "q"},
	} {
		a := weak
		if a.override(c.by); a.password != c.want {
			t.Errorf("%+v gives the password %q, want %q", c.by, a.password.Reveal(), c.want.Reveal())
		}
	}
}

// Each source goes before the ones after it: options, variables, the user's file, the file of all users, the last login.
func TestSourcesHaveAnOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	variables := map[string]string{"CONPAAS_HOME": dir, envUsername: "of-variables"}
	system := System{Stdin: strings.NewReader(""), Getenv: func(name string) string { return variables[name] }}
	system.Conf = write("system.conf", "[cps-tools]\nusername = of-system\n")
	write(fileConf, "[cps-tools]\nusername = of-user\n")
	write(login.FileConfig, `{"director": "https://d:1", "username": "of-login"}`)
	g := newGlobal(system)
	g.username = "of-options"
	var got []string
	for _, drop := range []func(){
		func() { g.username = "" },
		func() { delete(variables, envUsername) },
		func() { _ = os.Remove(filepath.Join(dir, fileConf)) },
		func() { _ = os.Remove(system.Conf) },
		func() {},
	} {
		at, err := g.connection()
		if err != nil || at.access.url != "https://d:1" {
			t.Fatalf("%+v, %v", at.access, err)
		}
		got = append(got, at.access.username)
		drop()
	}
	if want := "of-options of-variables of-user of-system of-login"; strings.Join(got, " ") != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}
