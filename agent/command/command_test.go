package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// execute runs a command line and gives what it prints.
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
	if out, err := execute(t, "version"); err != nil || !strings.HasPrefix(out, "cpsagent ") || !strings.Contains(out, "(protocol 1)") {
		t.Errorf("version: %q, %v", out, err)
	}
}

func TestHelpNamesWhatPeopleUse(t *testing.T) {
	out, err := execute(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"run", "init", "overlay", "version"} {
		if !strings.Contains(out, "\n  "+name+" ") {
			t.Errorf("the help does not name %s:\n%s", name, out)
		}
	}
	if strings.Contains(out, "page ") {
		t.Errorf("the help names the hidden command:\n%s", out)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--log-level", "loud"}, `log level "loud"`},
		{[]string{"run", "--root", t.TempDir()}, "bootstrap.json"},
		{[]string{"run", "extra"}, "extra"},
		{[]string{"fly"}, "fly"},
		{[]string{"overlay", "--interface", "../../x"}, "overlay device"},
		{[]string{"page", "--listen", "nowhere"}, "nowhere"},
		{[]string{"page", "--root", t.TempDir()}, "--listen"},
	} {
		if out, err := execute(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v; want an error with %q; it prints %q", c.args, err, c.want, out)
		}
	}
}

// Every command that people use says what it does and shows how.
func TestCommandsAreExplained(t *testing.T) {
	for _, c := range New().Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		if c.Short == "" || c.Example == "" || !explained(c) {
			t.Errorf("%s has no text or no example", c.Name())
		}
	}
}

func explained(c *cobra.Command) bool { return c.Args != nil && c.RunE != nil }
