package command

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
)

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := New()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestVersion(t *testing.T) {
	out, err := execute(t, "version")
	if err != nil || out != "cpsmanager dev (protocol 1)\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// Every command says what it is for and how it is used; those that people type show an example.
func TestHelp(t *testing.T) {
	for _, c := range New().Commands() {
		if c.Short == "" || c.Example == "" || !strings.Contains(c.Example, "cpsmanager "+c.Name()) {
			t.Errorf("%s: short %q, example %q", c.Name(), c.Short, c.Example)
		}
		if out, err := execute(t, c.Name(), "--help"); err != nil || !strings.Contains(out, "--root") {
			t.Errorf("%s --help: %v\n%s", c.Name(), err, out)
		}
	}
}

func TestWrongUse(t *testing.T) {
	for want, args := range map[string][]string{
		"unknown command":             {"fly"},
		"log level \"loud\"":          {"run", "--log-level", "loud"},
		"\"keys\", \"nodes\" not set": {"relay"},
		"unknown flag":                {"run", "--colour"},
		"listen address \"x\"":        {"relay", "--keys", "k", "--nodes", "n", "--listen", "x"},
	} {
		if out, err := execute(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
}

func TestRunNeedsBootstrap(t *testing.T) {
	root := t.TempDir()
	if err := Run(t.Context(), Options{Root: root, Stderr: io.Discard}); err == nil || !strings.Contains(err.Error(), "bootstrap.json") {
		t.Errorf("without bootstrap data: %v", err)
	}
	dir := filepath.Join(root, "var/lib/conpaas")
	data, err := json.Marshal(api.Bootstrap{Kind: "manager"})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "bootstrap.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), Options{Root: root, Stderr: io.Discard}); err == nil || !strings.Contains(err.Error(), "director") {
		t.Errorf("with empty bootstrap data: %v", err)
	}
}

func TestDirectors(t *testing.T) {
	for name, test := range map[string]struct {
		parent api.Parent
		boot   api.Bootstrap
		want   []target
	}{
		"only the URL":        {api.Parent{}, api.Bootstrap{Director: "https://d.test"}, []target{{"d.test:443", "d.test"}}},
		"its port":            {api.Parent{}, api.Bootstrap{Director: "https://d.test:5555"}, []target{{"d.test:5555", "d.test"}}},
		"an address":          {api.Parent{}, api.Bootstrap{Director: "https://d.test:5555", Address: "10.0.0.1:99"}, []target{{"10.0.0.1:99", "d.test"}}},
		"the same as parent":  {api.Parent{Address: "10.0.0.1:99", ServerName: "d.test"}, api.Bootstrap{Director: "https://d.test:5555", Address: "10.0.0.1:99"}, []target{{"10.0.0.1:99", "d.test"}}},
		"another than parent": {api.Parent{Address: "10.0.0.2:99", ServerName: "e.test"}, api.Bootstrap{Director: "https://d.test:5555"}, []target{{"10.0.0.2:99", "e.test"}, {"d.test:5555", "d.test"}}},
	} {
		m := &manager{boot: test.boot, answer: api.JoinAnswer{Parent: test.parent}}
		got := m.directors()
		if len(got) != len(test.want) || got[0] != test.want[0] || got[len(got)-1] != test.want[len(test.want)-1] {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestOutside(t *testing.T) {
	if got := outside(t.Context(), "127.0.0.1:1"); got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("towards this host the address is %s", got)
	}
	if got := outside(t.Context(), "nowhere"); got.IsValid() {
		t.Errorf("towards nowhere the address is %s", got)
	}
}
