package recipe

import (
	"errors"
	"strings"
	"testing"
)

func TestCloudsHaveTheirFormats(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Format
	}{
		{"", FormatRootFS},
		{"cloud = local", FormatRootFS},
		{"cloud = local\ncontainer = false", FormatQCOW2},
		{"cloud = local\nhypervisor = kvm", FormatQCOW2},
		{"cloud = ec2\nhypervisor = xen", FormatRaw},
		{"cloud = openstack", FormatQCOW2},
		{"cloud = openstack\nhypervisor = xen", FormatRaw},
		{"cloud = openstack\ncontainer = true", FormatLXC},
		{"cloud = opennebula\ncontainer = on", FormatLXC},
		{"cloud = vbox\nhypervisor = kvm", FormatOVA},
		{"cloud = vbox\nformat = vdi", FormatVDI},
		{"format = oci", FormatOCI},
		{"format = ova", FormatOVA},
		{"container = false", FormatQCOW2},
		{"format = raw\nhypervisor = xen", FormatRaw},
		{"container = true\narchitecture = arm64", FormatRootFS},
	} {
		c, err := Parse([]byte("[image]\n" + tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Recipe(); err != nil || r.Format != tt.want {
			t.Errorf("%q gives %s, %v; want %s", tt.text, r.Format, err, tt.want)
		}
	}
}

func TestConflictsNameTheRemedy(t *testing.T) {
	for _, tt := range [][2]string{
		{"cloud = azure", `unknown cloud "azure"; known: ec2, openstack, opennebula, vbox, local`},
		{"hypervisor = esx", `unknown hypervisor "esx"; known: kvm, xen`},
		{"format = iso", `unknown format "iso"; known: rootfs, raw`},
		{"cloud = vbox\nhypervisor = xen", "cloud vbox does not run Xen: remove hypervisor = xen"},
		{"cloud = vbox\ncontainer = true", "cloud vbox starts no containers: set container = false"},
		{"cloud = ec2\ncontainer = true", "cloud ec2 starts no containers"},
		{"hypervisor = xen", "cloud local does not run Xen"},
		{"format = ova\nhypervisor = xen", "format ova is of VirtualBox, not of Xen"},
		{"format = ova\ncontainer = true", "set container = false, or format = rootfs, lxc or oci"},
		{"format = rootfs\ncontainer = false", "set container = true, or format = raw"},
		{"format = lxc\nhypervisor = kvm", "a container has no hypervisor"},
		{"container = true\nhypervisor = xen", "a container has no hypervisor"},
		{"cloud = ec2\nformat = ova", "cloud ec2 does not start from format ova: remove format, or use raw"},
		{"cloud = openstack\nformat = vdi", "cloud openstack does not start from format vdi"},
		{"distribution = debian-11", `unknown distribution "debian-11"; known: debian-12`},
		{"architecture = i386", `unknown architecture "i386"; known: amd64, arm64`},
		{"architecture = arm64\nformat = raw", "set architecture = amd64, or format = rootfs"},
		{"filesize = 3072", "remove filesize, or set container = false"},
		{"format = raw\nfilesize = 99999999999", "is not between"},
		{"format = raw\nfilename = x.tar.zst", "end it in .raw"},
		{"format = oci\nfilename = x.tar.gz", "packed already: end it in .tar"},
		{"[preinstall]\ncopy = app:srv/app", "the target an absolute path"},
		{"[preinstall]\ncopy = app:/srv/../etc", "the target an absolute path"},
		{"[preinstall]\ncopy = app:/run/app", "a machine mounts its own /run over it"},
	} {
		c, err := Parse([]byte("[image]\n" + tt[0]))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Recipe(); !errors.Is(err, ErrRecipe) || !strings.Contains(err.Error(), tt[1]) {
			t.Errorf("%q gives %s, %v; want %q", tt[0], r, err, tt[1])
		}
	}
}

func TestFilenamesTellTheCompression(t *testing.T) {
	for name, want := range map[string]Compression{"": "", "x.tar": "", "a/x.tar.gz": Gzip, "x.tar.xz": XZ, "x.tar.zst": Zstd, "x.zst": ""} {
		c := Default()
		c.Filename = name
		if r, err := c.Recipe(); err != nil || r.Compression != want {
			t.Errorf("%q: compression %q, %v; want %q", name, r.Compression, err, want)
		}
	}
}
