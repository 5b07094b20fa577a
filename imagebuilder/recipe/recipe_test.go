package recipe

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"conpaas/client/api"
)

func TestNew(t *testing.T) {
	r, err := New("rootfs", []string{"helloworld", "helloworld"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Services, []api.ServiceType{"helloworld"}) {
		t.Errorf("services %v", r.Services)
	}
	if !slices.IsSorted(r.Packages) || len(slices.Compact(slices.Clone(r.Packages))) != len(r.Packages) {
		t.Errorf("packages %v are not sorted, or one is there twice", r.Packages)
	}
	for _, name := range []string{"nginx-light", "curl", "openssl", "ca-certificates"} {
		if !slices.Contains(r.Packages, name) {
			t.Errorf("packages %v lack %s", r.Packages, name)
		}
	}
	if got, want := r.String(), "rootfs of debian-12 with helloworld"; got != want {
		t.Errorf("it is called %q, want %q", got, want)
	}
}

func TestNewTakesTheWholeCatalogue(t *testing.T) {
	r, err := New("rootfs", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Services) != len(api.Catalogue()) {
		t.Errorf("services %v of %d in the catalogue", r.Services, len(api.Catalogue()))
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		format   string
		services []string
		want     string
	}{
		{"iso", nil, `unknown format "iso"; known: rootfs`},
		{"rootfs", []string{"helloworld", "hello"}, `unknown service type "hello"; known: helloworld`},
		{"rootfs", []string{""}, `unknown service type ""`},
	} {
		if _, err := New(tt.format, tt.services); !errors.Is(err, ErrRecipe) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%q, %q): error %v, want %q", tt.format, tt.services, err, tt.want)
		}
	}
}

func TestGatherChecksTheCatalogue(t *testing.T) {
	row := func(packages map[string][]string) []api.ServiceKind {
		return []api.ServiceKind{{Type: "x", Roles: []api.RoleKind{{Role: "node", Packages: packages}}}}
	}
	for name, kinds := range map[string][]api.ServiceKind{
		"another distribution": row(map[string][]string{"debian-11": {"nginx"}}),
		"an option":            row(map[string][]string{api.Debian12: {"--keyring=x"}}),
		"two in one":           row(map[string][]string{api.Debian12: {"nginx,curl"}}),
		"a file":               row(map[string][]string{api.Debian12: {"./x.deb"}}),
		"a pattern":            row(map[string][]string{api.Debian12: {"?essential"}}),
	} {
		var r Recipe
		if err := r.gather(kinds, nil); !errors.Is(err, ErrRecipe) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	var r Recipe
	if err := r.gather(row(map[string][]string{api.Debian12: nil}), nil); err != nil || !slices.Equal(r.Packages, base) {
		t.Errorf("a role without packages of its own: %v, %v", r.Packages, err)
	}
}

func TestServicesThatAreOffAddNothing(t *testing.T) {
	c := Default()
	if err := c.Only(nil); err != nil {
		t.Fatal(err)
	}
	r, err := c.Recipe()
	if err != nil || len(r.Services) != 0 || !slices.Equal(r.Packages, base) {
		t.Errorf("without services: %v with %v, %v", r.Services, r.Packages, err)
	}
	c.Extra = []string{"mariadb-server", "curl"}
	if r, err = c.Recipe(); err != nil || !slices.Contains(r.Packages, "mariadb-server") || len(r.Packages) != len(base)+1 {
		t.Errorf("with one package more: %v, %v", r.Packages, err)
	}
}
