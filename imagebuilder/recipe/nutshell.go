package recipe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Nutshell makes of a disk a whole installation: a director with a local cloud, whose machines are containers.
type Nutshell struct {
	Hostname string // of the machine, and the director's name
	Programs string // directory with the programs of ConPaaS; absolute
	Machines Recipe // the root file system of the containers
}

// director has the packages that a director with a local cloud needs. They are those that .ci/deps installs to run one.
var director = []string{"ca-certificates", "curl", "iproute2", "mmdebstrap", "nftables", "openssl", "procps", "runc", "uidmap"}

// defaultHostname is the name of a nutshell that was given none.
const defaultHostname = "nutshell"

// hostname is a host's name, and none that could be an address.
var hostname = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?(\.[a-z]([a-z0-9-]*[a-z0-9])?)*$`)

// nutshell makes a disk of the choices. Services and everything that is put into an image are the machines' in it.
func (c Choices) nutshell(f Format) (Recipe, error) {
	inner := c
	inner.Nutshell, inner.Hostname, inner.Programs = false, "", ""
	inner.Cloud, inner.Hypervisor, inner.Container, inner.Format, inner.Filename, inner.Filesize = "", "", nil, string(FormatRootFS), "", 0
	machines, err := inner.Recipe()
	if err != nil {
		return Recipe{}, err
	}
	r := Recipe{
		Format: f, Architecture: c.Architecture, Optimize: c.Optimize, Size: c.Filesize << 20, Compression: compressionOf(c.Filename),
		Services: machines.Services, Nutshell: &Nutshell{Hostname: c.Hostname, Programs: c.Programs, Machines: machines},
	}
	if r.Nutshell.Hostname == "" {
		r.Nutshell.Hostname = defaultHostname
	}
	if err := c.check(r); err != nil {
		return Recipe{}, fmt.Errorf("%w: %w", ErrRecipe, err)
	}
	r.Packages = slices.Concat(base, director)
	slices.Sort(r.Packages)
	r.Packages = slices.Compact(r.Packages)
	return r, nil
}

// checkNutshell tells whether the section fits together.
func (c Choices) checkNutshell() error {
	switch {
	case !c.Nutshell && c.Hostname != "":
		return errors.New("hostname is of a nutshell: remove it, or set nutshell = true")
	case !c.Nutshell && c.Programs != "":
		return errors.New("programs are put into a nutshell: remove them, or set nutshell = true")
	case c.Hostname != "" && (len(c.Hostname) > 63 || !hostname.MatchString(c.Hostname)):
		return fmt.Errorf("hostname %q is no name of a host: want small letters, digits, - and dots, at most 63, like nutshell.example.org", c.Hostname)
	}
	return nil
}
