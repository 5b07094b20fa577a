package recipe

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"conpaas/client/api"
)

// Choices are what a person decides about an image. Recipe checks how they fit together.
type Choices struct {
	Cloud          string // "": of the format
	Hypervisor     string // kvm or xen; "": of the cloud
	Container      *bool  // nil: as the format and the cloud are
	Format         string // "": the usual one of the cloud
	Filename       string // where a copy of the image goes; "": nowhere
	Filesize       int64  // MiB of a disk; 0: the smallest
	Optimize       bool
	Distribution   string
	Architecture   string
	Mirror         string // URL; "": where this host takes its packages from
	SecurityMirror string // URL; "": the mirror's
	Off            []api.ServiceType
	Extra          []string // packages beside those of the services
	Copies         []Copy
	Script         string
	FirstBoot      string
	Nutshell       bool   // a director with a local cloud, and what else is chosen in the machines of that
	Hostname       string // "": the usual one of a nutshell
	Programs       string // directory of the programs for a nutshell; "": of the program that builds
}

// Default gives the choices of an empty recipe file: a container of the local cloud with every service.
func Default() Choices {
	return Choices{Optimize: true, Distribution: Distribution, Architecture: AMD64}
}

// Only switches all services off but those of the names.
func (c *Choices) Only(services []string) error {
	known := types(api.Catalogue())
	for _, name := range services {
		if !slices.Contains(known, api.ServiceType(name)) {
			return fmt.Errorf("%w: unknown service type %q; known: %s", ErrRecipe, name, list(known))
		}
	}
	c.Off = slices.DeleteFunc(known, func(t api.ServiceType) bool { return slices.Contains(services, string(t)) })
	return nil
}

// Recipe checks the choices and gives what they make. Its errors wrap ErrRecipe and name what to change.
func (c Choices) Recipe() (Recipe, error) {
	f, err := c.format()
	if err != nil {
		return Recipe{}, fmt.Errorf("%w: %w", ErrRecipe, err)
	}
	if c.Nutshell {
		return c.nutshell(f)
	}
	r := Recipe{
		Format: f, Architecture: c.Architecture, Optimize: c.Optimize, Size: c.Filesize << 20,
		Copies: c.Copies, Script: c.Script, FirstBoot: c.FirstBoot, Compression: compressionOf(c.Filename),
	}
	if err := c.check(r); err != nil {
		return Recipe{}, fmt.Errorf("%w: %w", ErrRecipe, err)
	}
	kinds := slices.DeleteFunc(api.Catalogue(), func(k api.ServiceKind) bool { return slices.Contains(c.Off, k.Type) })
	if err := r.gather(kinds, c.Extra); err != nil {
		return Recipe{}, err
	}
	return r, nil
}

func (c Choices) check(r Recipe) error {
	switch {
	case c.Distribution != Distribution:
		return fmt.Errorf("unknown distribution %q; known: %s", c.Distribution, Distribution)
	case c.Architecture != AMD64 && c.Architecture != ARM64:
		return fmt.Errorf("unknown architecture %q; known: %s, %s", c.Architecture, AMD64, ARM64)
	case c.Architecture != AMD64 && r.Format.Disk():
		return fmt.Errorf("format %s is made for %s only: set architecture = %s, or format = rootfs, lxc or oci", r.Format, AMD64, AMD64)
	case c.Filesize < 0 || c.Filesize > largestDisk:
		return fmt.Errorf("filesize %d is not between 0 and %d MiB", c.Filesize, int64(largestDisk))
	case c.Filesize > 0 && !r.Format.Disk():
		return fmt.Errorf("filesize is for disks, a %s takes the space that it needs: remove filesize, or set container = false", r.Format)
	case r.Compression != "" && r.Format.Disk():
		return fmt.Errorf("filename %s names an archive, but %s is a disk: end it in .%s", c.Filename, r.Format, r.Format)
	case r.Compression != "" && r.Format == FormatOCI:
		return fmt.Errorf("filename %s: the layer of an oci is packed already: end it in .tar", c.Filename)
	}
	if err := c.checkNutshell(); err != nil {
		return err
	}
	for _, p := range c.Copies {
		if p.From == "" || !path.IsAbs(p.To) || path.Clean(p.To) != p.To || strings.ContainsAny(p.From+p.To, " \t\r\n,:") {
			return fmt.Errorf("copy %s:%s: want SOURCE:TARGET, the target an absolute path like /srv/app, both without spaces, commas and colons", p.From, p.To)
		}
		for _, mounted := range []string{"/dev", "/proc", "/run", "/sys", "/tmp"} {
			if p.To == mounted || strings.HasPrefix(p.To, mounted+"/") {
				return fmt.Errorf("copy %s:%s: a machine mounts its own %s over it: choose another target", p.From, p.To, mounted)
			}
		}
	}
	return nil
}

// largestDisk is in MiB: what the partition table and the formats hold with room to spare.
const largestDisk = 2 << 20
