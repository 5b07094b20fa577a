// Package recipe says what an image holds: its format, its distribution and the packages of the services that its
// machines are to run.
//
// It must not know how an image is made, nor touch files or run programs.
package recipe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"conpaas/client/api"
)

// Format is the form in which an image is delivered.
type Format string

// FormatRootFS is a tar archive of a root file system, without kernel, boot loader and device files, as the local cloud
// takes it.
const FormatRootFS Format = "rootfs"

// Formats gives every format that can be made.
func Formats() []Format { return []Format{FormatRootFS} }

// What an image is made of. Distribution is the key of the catalogue's package lists.
const (
	Distribution = api.Debian12
	Codename     = "bookworm"
	Architecture = "amd64" // as Debian names it
)

// ErrRecipe is wrapped by every error about a recipe that cannot be made.
var ErrRecipe = errors.New("invalid recipe")

// base has the packages of every image beside the distribution's required ones: what the first-boot script, the overlay
// and people who look for a fault need.
var base = []string{
	"ca-certificates", "curl", "iproute2", "iputils-ping", "netbase", "nftables", "openssl", "procps",
	"usr-is-merged", // else its alternative usrmerge brings 46 MB of Perl
}

// Recipe is what one image holds.
type Recipe struct {
	Format   Format            `json:"format"`
	Services []api.ServiceType `json:"services"` // sorted, each once
	Packages []string          `json:"packages"` // sorted, each once; their dependencies come by themselves
}

// New makes a recipe for the named service types; none means all of the catalogue.
func New(format string, services []string) (Recipe, error) {
	if !slices.Contains(Formats(), Format(format)) {
		return Recipe{}, fmt.Errorf("%w: unknown format %q; known: %s", ErrRecipe, format, list(Formats()))
	}
	kinds := api.Catalogue()
	if len(services) > 0 {
		chosen := make([]api.ServiceKind, 0, len(services))
		for _, name := range services {
			kind, ok := api.FindServiceKind(api.ServiceType(name))
			if !ok {
				return Recipe{}, fmt.Errorf("%w: unknown service type %q; known: %s", ErrRecipe, name, list(types(kinds)))
			}
			chosen = append(chosen, kind)
		}
		kinds = chosen
	}
	return of(Format(format), kinds)
}

func of(format Format, kinds []api.ServiceKind) (Recipe, error) {
	r := Recipe{Format: format, Services: types(kinds), Packages: slices.Clone(base)}
	for _, kind := range kinds {
		for _, role := range kind.Roles {
			packages, ok := role.Packages[Distribution]
			if !ok {
				return Recipe{}, fmt.Errorf("%w: the catalogue has no packages of %s for role %s of %s", ErrRecipe, Distribution, role.Role, kind.Type)
			}
			r.Packages = append(r.Packages, packages...)
		}
	}
	for _, name := range r.Packages {
		if !packageName.MatchString(name) {
			return Recipe{}, fmt.Errorf("%w: %q is not the name of a package", ErrRecipe, name)
		}
	}
	slices.Sort(r.Services)
	slices.Sort(r.Packages)
	r.Services, r.Packages = slices.Compact(r.Services), slices.Compact(r.Packages)
	return r, nil
}

// String tells what the recipe makes, for example "rootfs of debian-12 with helloworld".
func (r Recipe) String() string {
	return fmt.Sprintf("%s of %s with %s", r.Format, Distribution, list(r.Services))
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
