package hosting

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conpaas/client/api"
	"conpaas/manager/service"
)

func BenchmarkPlan(b *testing.B) {
	w := newWorld()
	w.Spec.Nodes = map[api.Role]int{api.RoleProxy: 4, api.RoleWeb: 20, api.RoleBackend: 400}
	w.quiet()
	if err := w.end(); err != nil {
		b.Fatal(err)
	}
	in := w.Input()
	for b.Loop() {
		half.Plan(in)
	}
}

// Whatever agents say, a plan is one that can be carried out, and the same input gives the same plan.
func TestAnyWord(t *testing.T) {
	states := []api.NodeState{api.NodeWanted, api.NodeBooting, api.NodeJoined, api.NodeReady, api.NodeUnreachable, api.NodeDraining}
	roles := []api.Role{api.RoleProxy, api.RoleWeb, api.RoleBackend, "other"}
	codes := []string{"", api.CodeDefault, "code-1", "code-2"}
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 6).Draw(t, "machines")
		id := rapid.Custom(func(t *rapid.T) api.NodeID { return api.NodeID(fmt.Sprintf("n%d", rapid.IntRange(1, 7).Draw(t, "n"))) })
		in := service.Input{Spec: api.ServiceSpec{ID: 1, Type: api.PHP, Nodes: map[api.Role]int{}}}
		for _, r := range roles[:3] {
			in.Spec.Nodes[r] = rapid.IntRange(0, 3).Draw(t, "count")
		}
		if rapid.Bool().Draw(t, "code") {
			in.Spec.Code = &api.CodeSpec{Wanted: rapid.SampledFrom(codes).Draw(t, "wanted"), Serving: rapid.SampledFrom(codes).Draw(t, "serving")}
			for _, c := range codes[1:] {
				if rapid.Bool().Draw(t, "has") {
					in.Spec.Code.Versions = append(in.Spec.Code.Versions, api.CodeBlob{ID: c, SHA256: c})
				}
			}
		}
		facts := rapid.Custom(func(t *rapid.T) api.RawJSON {
			if rapid.IntRange(0, 5).Draw(t, "junk") == 0 {
				return api.RawJSON(rapid.SampledFrom([]string{"", "7", `{"checked": 1}`, "null"}).Draw(t, "text"))
			}
			data, _ := json.Marshal(api.HostingFacts{
				Checked: rapid.MapOf(rapid.SampledFrom(codes), rapid.Bool()).Draw(t, "checked"),
				Refused: rapid.MapOfN(rapid.SampledFrom(codes), rapid.Just("no"), 0, 1).Draw(t, "refused"),
				Version: rapid.SampledFrom(codes).Draw(t, "version"), Servers: rapid.SliceOfN(id, 0, 4).Draw(t, "servers"),
			})
			return data
		})
		for i := range count {
			n := service.Node{NodeInfo: api.NodeInfo{
				ID: api.NodeID(fmt.Sprintf("n%d", i+1)), Role: rapid.SampledFrom(roles).Draw(t, "role"), State: rapid.SampledFrom(states).Draw(t, "state"),
				Key: api.OverlayKey(rapid.SampledFrom([]string{"", "key"}).Draw(t, "key")),
			}, Connected: rapid.Bool().Draw(t, "connected"), Serving: rapid.Bool().Draw(t, "serving"), Current: rapid.Bool().Draw(t, "current")}
			if n.Connected || rapid.Bool().Draw(t, "heard") {
				n.Status = &api.NodeStatus{Node: n.ID}
				for _, r := range roles {
					if rapid.Bool().Draw(t, "says") {
						state := rapid.SampledFrom([]api.RoleState{api.RoleStarting, api.RoleReady, api.RoleDrained, api.RoleFailed, ""}).Draw(t, "role state")
						n.Status.Roles = append(n.Status.Roles, api.RoleStatus{Role: r, State: state, Facts: facts.Draw(t, "facts")})
					}
				}
			}
			in.Nodes = append(in.Nodes, n)
		}
		p := half.Plan(in)
		if err := service.Check(in, p); err != nil {
			t.Fatal(err)
		}
		if p.State == "" || p.Code == nil || !maps.Equal(p.Wanted, in.Spec.Nodes) {
			t.Fatalf("state %q, code %v, wanted %v", p.State, p.Code, p.Wanted)
		}
		if again := half.Plan(in); !cmp.Equal(p, again) {
			t.Fatal(cmp.Diff(p, again))
		}
	})
}
