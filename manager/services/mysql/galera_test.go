package mysql

import (
	"fmt"
	"net/netip"
	"slices"

	"conpaas/client/api"
)

// database is what the server of a machine is, and what its agent keeps.
type database struct {
	history    string // of its data; "" where there is none
	changes    int64
	bootstraps uint64
	told       bool // its server was told to run: it is started again whenever it ends
	process    bool // it runs
	begins     bool // it was launched to begin the cluster, and has not done so yet
	token      string
	view       *view        // the last cluster that took changes that it was in since it was started; nil while it only looks for one
	knows      []netip.Addr // whom it was told of when it was launched
	alone      bool         // it sees no other machine
}

// view is a cluster that takes changes, or did so last.
type view struct {
	members []*box
	counts  map[*box]bool // which of them have a say: those whose agent has seen that they have all the data
	lost    bool          // it takes no changes
}

// weight is how many of some machines have a say in the cluster.
func (v *view) weight(of []*box) (n int) {
	for _, m := range of {
		if v.counts[m] {
			n++
		}
	}
	return n
}

func (b *box) answers() bool { return b.process && b.view != nil }

func (b *box) primary() bool { return !b.Dead && b.answers() && !b.view.lost }

func (b *box) position() string {
	if b.history == "" {
		return api.MySQLNoData
	}
	return fmt.Sprintf("%s:%d", b.history, b.changes)
}

// facts is what an agent tells of its database.
func (w *world) facts(b *box) api.MySQLFacts {
	f := api.MySQLFacts{Bootstraps: b.bootstraps}
	if b.process {
		f.Knows = b.knows
	}
	switch {
	case !b.told:
		f.State, f.Position = api.MySQLStateStopped, b.position()
	case b.answers():
		f.State, f.Primary, f.Position, f.ClusterSize = "Synced", b.primary(), b.position(), len(w.around(b))
	case b.process && b.begins:
		f.State = api.MySQLStateBeginning
	case b.process:
		f.State, f.Position = api.MySQLStateStarting, b.position()
	default:
		f.State = api.MySQLStateStarting
	}
	return f
}

// around are the machines with servers that answer which this one sees, itself included.
func (w *world) around(b *box) (out []*box) {
	for _, other := range w.Living() {
		if other == b || !b.alone && !other.alone && other.answers() {
			out = append(out, other)
		}
	}
	return out
}

// apply has an agent apply the next thing that it was sent; it may be killed between two steps.
func (w *world) apply(b *box, killed bool) {
	c, ok := b.Take()
	if !ok {
		return
	}
	o := decode(c)
	b.runs = o
	w.Say("%s applies %s", b.Info.ID, o)
	if o.server == nil {
		w.end(b)
		b.told = false
		return
	}
	if o.server.Bootstrap > b.bootstraps {
		known := b.answers() || b.process && !b.begins || !b.told
		b.bootstraps = o.server.Bootstrap
		switch {
		case killed || !known || b.primary() || b.position() != o.server.From:
		case b.answers():
			w.begin(b, w.around(b))
		default:
			b.process, b.token = false, o.server.From
		}
	}
	if o.server.Halt && !b.primary() {
		w.end(b)
		b.told = false
	}
	b.told = b.told || o.server.Start
}

// end ends a server that is told to, which the others hear.
func (w *world) end(b *box) {
	if b.primary() {
		v := b.view
		rest := slices.DeleteFunc(slices.Clone(v.members), func(m *box) bool { return m == b })
		v.lost = 2*v.weight(rest)+v.weight([]*box{b}) <= v.weight(v.members)
		v.members = rest
	}
	b.process, b.begins, b.view = false, false, nil
}

// crash ends a server that is not told to.
func (w *world) crash(b *box) {
	b.process, b.begins, b.view = false, false, nil
	w.gather()
}

// launch starts a server that is to run.
func (w *world) launch(b *box) {
	if b.Dead || !b.told || b.process {
		return
	}
	b.process, b.begins = true, b.token != "" && b.token == b.position()
	b.token, b.knows = "", b.runs.server.Members
	w.Say("%s is launched at %s, begins %t", b.Info.ID, b.position(), b.begins)
}

// begin makes some machines the cluster.
func (w *world) begin(b *box, members []*box) {
	for _, other := range w.Living() {
		if other.primary() {
			w.Fail("%s begins a cluster beside that of %s", b.Info.ID, other.Info.ID)
		}
		if other.history != "" && (other.history != b.history || other.changes > b.changes) {
			w.Fail("%s begins with %s, and %s has %s", b.Info.ID, b.position(), other.Info.ID, other.position())
		}
	}
	if b.history == "" {
		w.history++
		b.history = fmt.Sprintf("h%d", w.history)
	}
	w.Say("%s begins a cluster of %d at %s", b.Info.ID, len(members), b.position())
	w.form(members)
	b.view.counts[b] = true
}

// form makes one cluster of machines, all of which get what the most advanced one has.
func (w *world) form(members []*box) {
	best := slices.MaxFunc(members, func(a, b *box) int { return int(a.changes - b.changes) })
	v := &view{members: members, counts: map[*box]bool{}}
	for _, m := range members {
		v.counts[m] = m.view != nil && m.view.counts[m]
		if m.history != "" && m.history != best.history {
			w.Fail("%s throws away %s", m.Info.ID, m.position())
		}
		m.history, m.changes, m.view, m.begins = best.history, best.changes, v, false
	}
}

// gather lets machines find and lose each other, by Galera's rule: those of a cluster that see most of it take changes.
func (w *world) gather() {
	for _, b := range w.Living() {
		if b.process && b.begins {
			w.begin(b, []*box{b})
		}
	}
	for _, b := range w.Living() {
		if !b.answers() {
			continue
		}
		var mates []*box
		for _, m := range w.around(b) {
			if m.view == b.view {
				mates = append(mates, m)
			}
		}
		if b.view.lost = 2*b.view.weight(mates) <= b.view.weight(b.view.members); !b.view.lost && len(mates) < len(b.view.members) {
			rest := slices.DeleteFunc(slices.Clone(b.view.members), func(m *box) bool { return slices.Contains(mates, m) })
			w.form(mates)
			for _, m := range rest { // they know the cluster as it was
				if m.view != nil {
					m.view = &view{members: append(slices.Clone(rest), mates...), counts: m.view.counts, lost: true}
				}
			}
		}
	}
	w.join()
}

// join lets those that look for a cluster, or have lost it, come to one that they see.
func (w *world) join() {
	for _, b := range w.Living() {
		if !b.process || b.primary() || b.begins || b.alone {
			continue
		}
		for _, m := range w.Living() {
			if m.primary() && !m.alone && b.finds(m) {
				if b.history == m.history && b.changes > m.changes {
					w.Fail("%s throws away %s, and gets %s of %s", b.Info.ID, b.position(), m.position(), m.Info.ID)
				}
				if b.history != m.history {
					if b.history != "" {
						w.Fail("%s throws away %s, and gets %s of %s", b.Info.ID, b.position(), m.position(), m.Info.ID)
					}
					b.history = m.history
				}
				w.Say("%s joins %s", b.Info.ID, m.Info.ID)
				b.changes = m.changes
				w.form(append(slices.Clone(m.view.members), b))
				break
			}
		}
	}
}

// finds tells whether a server that looks for a cluster asks the one of another, which takes changes.
func (b *box) finds(m *box) bool {
	return slices.ContainsFunc(m.view.members, func(other *box) bool {
		return slices.Contains(b.knows, other.Info.Overlay) || b.view != nil && slices.Contains(b.view.members, other)
	})
}

// write acknowledges a change. The others have received it, and one that is killed may not have it on disk.
func (w *world) write(behind *box) {
	for _, b := range w.Living() {
		if !b.primary() {
			continue
		}
		n := b.changes + 1
		for _, m := range b.view.members {
			if m == b || m != behind {
				m.changes = n
			}
		}
		if behind != b && slices.Contains(b.view.members, behind) {
			w.crash(behind)
		}
		return
	}
}
