package command

import (
	"context"
	"fmt"
	"slices"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// genericStatus is what one machine of a generic service says of its scripts.
type genericStatus struct {
	Node   api.NodeID        `json:"node"`
	Role   api.Role          `json:"role"`
	State  api.RoleState     `json:"state"`
	Reason string            `json:"reason,omitempty"`
	States map[string]string `json:"states"` // by script, in the words of the original tools
	Facts  api.GenericFacts  `json:"facts"`
}

func newGenericStatusCommand(g *Global) *cobra.Command {
	return g.ofType(api.Generic, &cobra.Command{
		Use:     "status APPLICATION SERVICE",
		Aliases: []string{"get-script-status"},
		Short:   "Show how the last run of each script stands, on each machine",
		Long: `Show how the last run of each script stands, on each machine: NEVER STARTED, RUNNING or STOPPED with its return code; of one
that has failed also what it wrote last.`,
		Example: `cps generic status shop generic
cps generic status shop generic -o json`,
		Args: words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			list, err := genericStatuses(ctx, c, args[0], args[1])
			if err != nil {
				return fmt.Errorf("status of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(list, func() error { return genericTable(list).Write(g.out) })
		}),
	})
}

func genericStatuses(ctx context.Context, c *director.Client, application, service string) ([]genericStatus, error) {
	machines, err := factsOf[api.GenericFacts](ctx, c, application, service, api.RoleMaster, api.RoleNode)
	if err != nil {
		return nil, err
	}
	list := []genericStatus{}
	for _, m := range machines {
		s := genericStatus{Node: m.Node, Role: m.Role, State: m.State, Reason: m.Reason, States: map[string]string{}, Facts: m.Facts}
		for _, name := range api.GenericScripts() {
			s.States[name+".sh"] = scriptState(m.Facts, name)
		}
		list = append(list, s)
	}
	return list, nil
}

// scriptState gives the state of a script as the original tools have it.
func scriptState(f api.GenericFacts, name string) string {
	last, ran := f.Scripts[name]
	switch {
	case last.Running:
		return "RUNNING"
	case ran:
		return fmt.Sprintf("STOPPED (return code %d)", last.Exit)
	case !slices.Contains(f.Has, name):
		return "NEVER STARTED (there is none)"
	}
	return "NEVER STARTED"
}

func genericTable(list []genericStatus) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "node"}, {Name: "role"}, {Name: "version"}, {Name: "script"}, {Name: "state"}, {Name: "begun"}, {Name: "reason", Optional: true},
	}}
	for _, s := range list {
		for _, name := range api.GenericScripts() {
			last, ran := s.Facts.Scripts[name]
			begun, reason := "", last.Reason
			if ran {
				begun = at(last.Begun)
			}
			if last.Words != "" {
				reason = joinNonEmpty(reason, last.Words)
			}
			t.Rows = append(t.Rows, []string{string(s.Node), string(s.Role), s.Facts.Version, name + ".sh", s.States[name+".sh"], begun, reason})
		}
	}
	return t
}

func joinNonEmpty(a, b string) string {
	if a == "" {
		return b
	}
	return a + ": " + b
}
