package app

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Families are what Figures gives the values of.
func Families() []wire.Family {
	return []wire.Family{
		{Name: "conpaas_agent_spec_revision", Help: "Revision of the last spec that was applied; 0: none."},
		{Name: "conpaas_agent_spec_failed", Help: "1 while the newest spec is not applied because of an error."},
		{Name: "conpaas_agent_roles", Help: "Roles of the node, by state.", Labels: []string{"state"}},
		{Name: "conpaas_agent_role_facts", Help: "What the roles say of themselves in numbers; 1 and 0 for yes and no.", Labels: []string{"role", "fact"}},
		{Name: "conpaas_agent_peers", Help: "Peers of the overlay, by the path that their datagrams take.", Labels: []string{"path"}},
		{Name: "conpaas_agent_blobs_missing", Help: "Archives that the spec names and that have not come."},
	}
}

// Figures gives the state of the node in numbers.
func (a *App) Figures(context.Context) ([][]wire.Figure, error) {
	status, _ := a.board.look()
	one := func(v float64) []wire.Figure { return []wire.Figure{{Value: v}} }
	failed := 0.0
	if status.Error != "" {
		failed = 1
	}
	roles := map[string]int{}
	for _, r := range status.Roles {
		roles[string(r.State)]++
	}
	paths := map[string]int{}
	for _, p := range status.Overlay {
		paths[string(p.Path)]++
	}
	return [][]wire.Figure{
		one(float64(status.Applied)), one(failed), counted(roles), facts(status.Roles), counted(paths), one(float64(len(status.Lacks))),
	}, nil
}

// Labels are those that all metrics of the node carry. The agent has joined.
func (a *App) Labels() map[string]string {
	return map[string]string{"application": a.answer.Application.String(), "node": string(a.boot.Node)}
}

// facts gives the numbers, and what is true or false, of what the halves of services say of their roles.
func facts(roles []api.RoleStatus) (out []wire.Figure) {
	for _, r := range roles {
		var all map[string]any
		if len(r.Facts) == 0 || json.Unmarshal(r.Facts, &all) != nil { // of other forms there are no figures
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			switch v := all[name].(type) {
			case float64:
				out = append(out, wire.Figure{Labels: []string{string(r.Role), name}, Value: v})
			case bool:
				f := wire.Figure{Labels: []string{string(r.Role), name}}
				if v {
					f.Value = 1
				}
				out = append(out, f)
			}
		}
	}
	return out
}

func counted(counts map[string]int) []wire.Figure {
	var out []wire.Figure
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, wire.Figure{Labels: []string{name}, Value: float64(counts[name])})
	}
	return out
}
