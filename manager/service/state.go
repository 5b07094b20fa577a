package service

import (
	"fmt"

	"conpaas/client/api"
)

// Judge sets the plan's State and Reason from the machines that stay: RUNNING when every wanted machine is Ready and none
// is leaving, ADAPTING while some serve, PROLOGUE while the first ones are on their way, else ERROR.
func (p *Plan) Judge(in Input, stay []Node) {
	wanted := 0
	for _, n := range p.Wanted {
		wanted += n
	}
	ready, serving, before, trouble := 0, 0, false, ""
	for _, n := range stay {
		if in.Ready(n, p.Nodes[n.ID]) {
			ready++
		}
		if n.Serving {
			serving++
		}
		before = before || n.State == api.NodeReady || n.State == api.NodeUnreachable
		if t := n.Trouble(); trouble == "" && t != "" {
			trouble = fmt.Sprintf("%s: %s", n.ID, t)
		}
	}
	leaving := len(p.Drain) + len(p.Delete)
	switch {
	case ready == wanted && len(stay) == wanted && leaving == 0:
		p.State, p.Reason = api.StateRunning, ""
	case serving > 0:
		p.State, p.Reason = api.StateAdapting, progress(ready, wanted, leaving)
	case trouble != "":
		p.State = api.StateError
	case before:
		p.State, p.Reason = api.StateError, fmt.Sprintf("none of its machines answers (%s)", progress(ready, wanted, leaving))
	default:
		p.State, p.Reason = api.StatePrologue, progress(ready, wanted, leaving)
	}
	if trouble != "" {
		p.Reason = trouble
	}
}

func progress(ready, wanted, leaving int) string {
	s := fmt.Sprintf("%d of %d machines ready", ready, wanted)
	if leaving > 0 {
		s += fmt.Sprintf(", %d leaving", leaving)
	}
	return s
}
