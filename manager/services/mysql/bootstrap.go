package mysql

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"conpaas/client/api"
	"conpaas/manager/service"
)

// chooseBeginner finds the machine that begins the cluster, when there is none and all that may have data have told what they have.
func (f *fleet) chooseBeginner() {
	if slices.ContainsFunc(f.members, func(m *machine) bool { return m.facts.Primary && m.Connected }) {
		return
	}
	if text := f.awaited(); text != "" {
		f.blocked = "no database takes changes; whether one may begin the cluster is not known before " + text
		return
	}
	var best *machine
	var where position
	for _, m := range f.members {
		p, why := told(m)
		if why != "" {
			f.blocked = fmt.Sprintf("no database takes changes; whether one may begin the cluster again is not known before %s %s", m.ID, why)
			return
		}
		if best == nil || where.less(p) || !p.less(where) && service.ByAge(m.ID, best.ID) < 0 && !leads(best, m, f) {
			best, where = m, p
		}
	}
	if best == nil {
		return
	}
	answering := choose(f.members, (*machine).answers)
	for _, m := range answering {
		// Those that were in the cluster all the time come back to it by themselves when they are most of it: not while all of them
		// see each other, and it has not happened.
		if m.facts.ClusterSize < len(answering) {
			f.blocked = fmt.Sprintf("no database takes changes; %s does not see all the others", m.ID)
			return
		}
	}
	for _, m := range f.members {
		if p, _ := parse(m.facts.Position); p.history != "" && where.history != "" && p.history != where.history {
			f.blocked = fmt.Sprintf("the databases of %s and %s have different histories; remove the machine whose data is not wanted", best.ID, m.ID)
			return
		}
		if m != best && !m.Current {
			f.blocked = fmt.Sprintf("no database takes changes; %s begins the cluster when %s has applied what it was sent", best.ID, m.ID)
			return
		}
	}
	// Who looks for a cluster asks those that it was told of when it was started. One that begins elsewhere it would never find: it is
	// ended, and started again when there is a cluster.
	f.strays = choose(f.members, func(m *machine) bool {
		return m != best && m.started() && !(m.answers() && best.answers()) && !slices.Contains(m.facts.Knows, best.Overlay)
	})
	if len(f.strays) > 0 {
		f.blocked = fmt.Sprintf("no database takes changes; %s begins the cluster when %s has ended its server", best.ID, f.strays[0].ID)
		return
	}
	f.beginner, f.blocked = best, fmt.Sprintf("%s begins the cluster", best.ID)
}

// awaited tells of machines that are still to come, "" when there are none: each may have been given the volume of one that was lost, with
// changes that no other has.
func (f *fleet) awaited() string {
	for _, m := range f.servers.stay {
		if !m.Joined() {
			return fmt.Sprintf("%s has joined, and told what is on its volume", m.ID)
		}
	}
	if missing := f.in.Spec.Nodes[api.RoleMySQL] - len(f.servers.stay); missing > 0 {
		return fmt.Sprintf("all its machines are there, of which %d are to be made", missing)
	}
	return ""
}

// leads tells whether of two with the same data the first stays and the second goes.
func leads(a, b *machine, f *fleet) bool {
	return slices.Contains(f.servers.stay, a) && !slices.Contains(f.servers.stay, b)
}

// told gives the position of a machine's data, or why it is not known for sure.
func told(m *machine) (position, string) {
	switch {
	case !m.Connected:
		return position{}, "is heard, or is replaced"
	case m.server == "":
		return position{}, "has told of its database"
	case m.facts.State == api.MySQLStateBeginning:
		return position{}, "has begun it"
	case m.facts.Queue > 0:
		return position{}, "has applied what it has received"
	}
	p, ok := parse(m.facts.Position)
	if !ok {
		return position{}, "knows what its data has"
	}
	return p, ""
}

// position is what data has: so many changes of a history, which is "" where there are none.
type position struct {
	history string
	changes int64
}

// parse reads what an agent says.
func parse(text string) (position, bool) {
	if text == api.MySQLNoData {
		return position{}, true
	}
	history, number, ok := strings.Cut(text, ":")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || history == "" {
		return position{}, false
	}
	return position{history, n}, true
}

// less tells whether b has more than a.
func (a position) less(b position) bool {
	if a.history == "" || b.history == "" {
		return a.history == "" && b.history != ""
	}
	return cmp.Less(a.changes, b.changes)
}
