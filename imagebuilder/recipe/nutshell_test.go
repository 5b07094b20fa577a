package recipe

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, text string) (Recipe, error) {
	t.Helper()
	c, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Recipe()
}

// A nutshell is a disk with a director's packages; all that the recipe says of machines is of those in it.
func TestNutshellHoldsTheImageOfItsMachines(t *testing.T) {
	own := "[services]\nphp = off\n[packages]\nextra = rsync\n[preinstall]\ncopy = app:/srv/app\nscript = in.sh\n[firstboot]\nscript = first.sh\n"
	machines, err := parsed(t, own)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]Format{
		"[nutshell]\nnutshell = true\n": FormatQCOW2,
		"[image]\ncontainer = true\nfilename = x.ova\nfilesize = 9000\n[nutshell]\nnutshell = on\n": FormatQCOW2,
		"[image]\ncloud = vbox\n[nutshell]\nnutshell = true\nhostname = shell.example.org\n":        FormatOVA,
		"[image]\ncloud = openstack\nhypervisor = xen\n[nutshell]\nnutshell = true\n":               FormatRaw,
		"[image]\nformat = vdi\ncontainer = true\n[nutshell]\nnutshell = true\n":                    FormatVDI,
	} {
		r, err := parsed(t, text+own)
		if err != nil || r.Format != want {
			t.Errorf("%q gives %s, %v; want %s", text, r.Format, err, want)
			continue
		}
		if d := cmp.Diff(machines, r.Nutshell.Machines); d != "" {
			t.Errorf("%q: its machines are others:\n%s", text, d)
		}
		if slices.Contains(r.Packages, "rsync") || slices.Contains(r.Packages, "nginx-light") || r.Script+r.FirstBoot != "" || r.Copies != nil {
			t.Errorf("%q: the director's machine has what is of its machines: %+v", text, r)
		}
		if host := r.Nutshell.Hostname; host != "nutshell" && !strings.Contains(text, host) || !slices.Contains(r.Packages, "runc") {
			t.Errorf("%q: it is called %q and has %v", text, host, r.Packages)
		}
	}
}

func TestNutshellsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"[image]\ncontainer = false\n[nutshell]\nnutshell = true\n":                    "remove container = false",
		"[image]\nformat = rootfs\n[nutshell]\nnutshell = true\n":                      "set format = raw, qcow2, vdi or ova",
		"[image]\ncontainer = true\nformat = oci\n[nutshell]\nnutshell = true\n":       "set format = raw, qcow2, vdi or ova",
		"[image]\ncloud = vbox\nhypervisor = xen\n[nutshell]\nnutshell = true\n":       "cloud vbox does not run Xen",
		"[image]\nfilename = x.tar.gz\n[nutshell]\nnutshell = true\n":                  "end it in .qcow2",
		"[nutshell]\nhostname = shell\n":                                               "hostname is of a nutshell: remove it, or set nutshell = true",
		"[nutshell]\nprograms = bin\n":                                                 "programs are put into a nutshell: remove them, or set nutshell = true",
		"[nutshell]\nnutshell = true\nhostname = Shell\n":                              `hostname "Shell" is no name of a host`,
		"[nutshell]\nnutshell = true\nhostname = 192.0.2.1\n":                          "is no name of a host",
		"[nutshell]\nnutshell = true\nhostname = a;b\n":                                "is no name of a host",
		"[nutshell]\nnutshell = true\nhostname = " + strings.Repeat("a", 64) + "\n":    "is no name of a host",
		"[nutshell]\nnutshell = true\n[preinstall]\ncopy = app:srv/app\n":              "the target an absolute path",
		"[image]\ndistribution = debian-11\n[nutshell]\nnutshell = true\n[services]\n": "unknown distribution",
	} {
		if r, err := parsed(t, text); !errors.Is(err, ErrRecipe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %s, %v; want %q", text, r, err, want)
		}
	}
}

// There is one list of what a director needs.
func TestNutshellHasWhatRunsADirector(t *testing.T) {
	text, err := os.ReadFile("../../.ci/deps")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^run="(.*)"$`).FindSubmatch(text)
	if line == nil {
		t.Fatal(".ci/deps has no line run=")
	}
	want := strings.Fields(string(line[1]))
	slices.Sort(want)
	if d := cmp.Diff(want, director); d != "" {
		t.Errorf("a nutshell has not what .ci/deps installs to run a director:\n%s", d)
	}
}
