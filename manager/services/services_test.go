package services

import (
	"testing"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// Every type of the catalogue has a half, and its plan for a new service is one that can be carried out.
func TestEveryTypeHasAHalf(t *testing.T) {
	halves := Halves()
	for _, kind := range api.Catalogue() {
		half := halves[kind.Type]
		if half == nil {
			t.Errorf("service type %s has no manager half", kind.Type)
			continue
		}
		in := service.Input{Spec: api.ServiceSpec{ID: 1, Type: kind.Type, Nodes: map[api.Role]int{}}}
		for _, r := range kind.Roles {
			in.Spec.Nodes[r.Role] = r.Start
		}
		p := half.Plan(in)
		if err := service.Check(in, p); err != nil || p.State == "" {
			t.Errorf("a new %s: %v, state %q", kind.Type, err, p.State)
		}
		for _, r := range kind.Roles {
			if p.Wanted[r.Role] < r.Start {
				t.Errorf("a new %s wants %v", kind.Type, p.Wanted)
			}
		}
	}
	if len(halves) != len(api.Catalogue()) {
		t.Errorf("%d halves for %d types of the catalogue", len(halves), len(api.Catalogue()))
	}
}
