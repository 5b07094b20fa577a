// Package recipe says what an image holds and in which form it is delivered, and reads and writes the file that says so.
//
// It must not know how an image is made, nor run programs or touch any file but the recipe's.
package recipe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"conpaas/client/api"
)

// What an image is made of. Distribution is the key of the catalogue's package lists.
const (
	Distribution = api.Debian12
	Codename     = "bookworm"
)

// The architectures of images, as Debian names them.
const (
	AMD64 = "amd64"
	ARM64 = "arm64"
)

// ErrRecipe is wrapped by every error about a recipe that cannot be made.
var ErrRecipe = errors.New("invalid recipe")

// base has the packages of every image beside the distribution's required ones: what the first-boot script, the overlay
// and people who look for a fault need.
var base = []string{
	"ca-certificates", "curl", "iproute2", "iputils-ping", "netbase", "nftables", "openssl", "procps",
	"usr-is-merged", // else its alternative usrmerge brings 46 MB of Perl
}

// Recipe is what one image holds. Choices.Recipe makes one that can be built.
type Recipe struct {
	Format       Format
	Compression  Compression // of an archive
	Architecture string
	Services     []api.ServiceType // sorted, each once
	Packages     []string          // sorted, each once; their dependencies come by themselves
	Optimize     bool              // nothing that machines can do without
	Size         int64             // bytes of a disk; 0: the smallest
	Copies       []Copy            // in this order
	Script       string            // path of a program that is run in the image when all packages are there; "": none
	FirstBoot    string            // path of a program that every machine runs once; "": none
	Nutshell     *Nutshell         // the disk is a whole installation, and Services are those of its machines; nil: it is not
}

// Copy is something of the host of the build that goes into the image.
type Copy struct {
	From string // a file, a directory, whose content is copied, or an archive (.tar, .tar.gz, .tar.xz, .tar.zst), which is unpacked
	To   string // absolute: of a file its name in the image, else the directory
}

// New makes a recipe for the named service types, with the defaults for all else; no types means all of the catalogue.
func New(format string, services []string) (Recipe, error) {
	c := Default()
	c.Format = format
	if len(services) > 0 {
		if err := c.Only(services); err != nil {
			return Recipe{}, err
		}
	}
	return c.Recipe()
}

// gather sets the services and the packages: those of the roles, the base's and some more.
func (r *Recipe) gather(kinds []api.ServiceKind, more []string) error {
	r.Services, r.Packages = types(kinds), append(slices.Clone(base), more...)
	if r.Format == FormatLXC {
		r.Packages = append(r.Packages, system...)
	}
	for _, kind := range kinds {
		for _, role := range kind.Roles {
			packages, ok := role.Packages[Distribution]
			if !ok {
				return fmt.Errorf("%w: the catalogue has no packages of %s for role %s of %s", ErrRecipe, Distribution, role.Role, kind.Type)
			}
			r.Packages = append(r.Packages, packages...)
		}
	}
	for _, name := range r.Packages {
		if !packageName.MatchString(name) {
			return fmt.Errorf("%w: %q is not the name of a package", ErrRecipe, name)
		}
	}
	slices.Sort(r.Services)
	slices.Sort(r.Packages)
	r.Services, r.Packages = slices.Compact(r.Services), slices.Compact(r.Packages)
	return nil
}

// String tells what the recipe makes, for example "rootfs of debian-12 with helloworld".
func (r Recipe) String() string {
	holds := list(r.Services)
	if holds == "" {
		holds = "no service"
	}
	on := Distribution
	if r.Architecture != AMD64 {
		on += " for " + r.Architecture
	}
	if r.Nutshell != nil {
		return fmt.Sprintf("%s of %s with a director, whose machines have %s", r.Format, on, holds)
	}
	return fmt.Sprintf("%s of %s with %s", r.Format, on, holds)
}

// packageName is the rule of Debian's policy manual, 5.6.1; it leaves no room for options, lists or paths.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

func types(kinds []api.ServiceKind) []api.ServiceType {
	out := make([]api.ServiceType, len(kinds))
	for i, k := range kinds {
		out[i] = k.Type
	}
	return out
}

func list[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return strings.Join(texts, ", ")
}
