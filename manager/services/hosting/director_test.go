package hosting

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"conpaas/client/api"
)

// direct is one round of the director: it carries the last plan out and takes note of what is said of the code.
func (w *world) direct() {
	w.think()
	p := w.Plan
	leaving := slices.Concat(p.Drain, p.Delete)
	for _, id := range leaving {
		b := w.Machines[id]
		if b.Info.State != api.NodeDraining && b.Info.Key != "" {
			b.Info.State = api.NodeDraining
			w.Say("%s is draining", id)
			continue
		}
		if slices.Contains(p.Delete, id) {
			w.remove(b)
		}
	}
	have := map[api.Role]int{}
	for id, b := range w.Machines {
		if b.Info.State != api.NodeDraining && !slices.Contains(leaving, id) {
			have[b.Info.Role]++
		}
	}
	for _, r := range slices.Sorted(maps.Keys(p.Wanted)) {
		if p.Wanted[r] != w.Spec.Nodes[r] {
			w.Fail("%d machines of role %s are wanted, the spec says %d", p.Wanted[r], r, w.Spec.Nodes[r])
		}
		for ; have[r] < p.Wanted[r]; have[r]++ {
			w.Add(r)
		}
	}
	switch c := *w.Spec.Code; {
	case c.Wanted == c.Serving:
	case p.Code.Serving == c.Wanted:
		w.setCode(c.Wanted, c.Wanted)
	case p.Code.Refused == c.Wanted:
		if !w.broken[c.Wanted] {
			w.Fail("%s is refused: %s", c.Wanted, p.Code.Reason)
		}
		w.setCode(c.Serving, c.Serving)
	}
}

// remove deletes a machine of which the plan says that it may go.
func (w *world) remove(b *box) {
	for _, id := range w.IDs() {
		u := w.Machines[id]
		if u == b || u.Dead || u.runs == nil {
			continue
		}
		if o := u.runs; o.web != nil && slices.Contains(names(o.web.Backends), b.Info.ID) || o.proxy != nil && slices.Contains(names(o.proxy.Webs), b.Info.ID) {
			w.Fail("%s is deleted while %s uses it", b.Info.ID, id)
		}
	}
	w.Say("%s is deleted", b.Info.ID)
	delete(w.Machines, b.Info.ID)
}

func (w *world) setCode(wanted, serving string) {
	c := &api.CodeSpec{Wanted: wanted, Serving: serving}
	for _, id := range slices.Compact(slices.Sorted(slices.Values([]string{wanted, serving}))) {
		b := api.CodeBlob{ID: id}
		if id != api.CodeDefault {
			b.SHA256, b.Format = "sum-"+id, "tar"
		}
		c.Versions = append(c.Versions, b)
	}
	w.Spec.Code = c
	w.Say("wanted %s, serving %s", wanted, serving)
}

// enable wants a version that nobody has seen yet.
func (w *world) enable(broken bool) {
	w.versions++
	id := fmt.Sprintf("code-%d", w.versions)
	w.broken[id] = broken
	w.setCode(id, w.Spec.Code.Serving)
}

// restart replaces the manager: the new one does not know what is under way.
func (w *world) restart() {
	w.Restart()
	for _, b := range w.Machines {
		b.blind = len(b.Sent)
	}
}

// settleStates is what the director knows of machines by and by.
func (w *world) settleStates() {
	for _, b := range w.Machines {
		if b.Info.State == api.NodeJoined && b.Connected && b.Serving {
			b.Info.State = api.NodeReady
		}
	}
}

// watch compares how requests are served with how they were before: what worked must go on to work unless a machine on
// the way was lost.
func (w *world) watch(lost bool) {
	for _, b := range w.Machines {
		if lost {
			b.blind = len(b.Sent)
		}
	}
	lost, w.late = lost || w.late, false
	known := w.known()
	for _, id := range w.IDs() {
		b := w.Machines[id]
		why := w.trouble(b)
		if b.works && why != "" && !lost && b.Info.State != api.NodeDraining {
			w.Fail("requests to %s fail: %s", id, why)
		}
		b.works = why == "" && (b.works || known)
	}
}

// known tells whether the manager knows everything of the machines that are alive. What came to work by something that it
// has not heard of yet may be undone: it was lost before.
func (w *world) known() bool {
	for _, b := range w.Machines {
		if !b.Dead && b.Info.Key != "" && (!b.Connected || b.Doubt || !reflect.DeepEqual(b.Status.Roles, b.roles())) {
			return false
		}
	}
	return true
}

// trouble tells why requests to a proxy fail, "" when all of them work. What is dead counts as not there: those who use
// it find that out for themselves.
func (w *world) trouble(b *box) string {
	if b.Dead || b.runs == nil || b.runs.proxy == nil || !b.up[api.RoleProxy] {
		return "it is no proxy"
	}
	version, some := b.runs.proxy.Version, false
	for _, web := range names(b.runs.proxy.Webs) {
		u := w.Machines[web]
		if u == nil || u.Dead {
			continue
		}
		if u.runs == nil || u.runs.web == nil || !u.up[api.RoleWeb] {
			return fmt.Sprintf("%s is no web", web)
		}
		if !u.passed[version] {
			return fmt.Sprintf("web %s lacks %s", web, version)
		}
		some = true
		backends := 0
		for _, id := range names(u.runs.web.Backends) {
			s := w.Machines[id]
			if s == nil || s.Dead || !s.serves() || !s.up[api.RoleBackend] {
				continue
			}
			if !s.passed[version] {
				return fmt.Sprintf("backend %s of web %s lacks %s", id, web, version)
			}
			backends++
		}
		if backends == 0 {
			return fmt.Sprintf("web %s has no backend", web)
		}
	}
	if !some {
		return "there is no web"
	}
	return ""
}

// quiet lets everything work well until nothing changes any more.
func (w *world) quiet() {
	for round := range 200 {
		before := w.Pushes
		for _, id := range w.IDs() {
			w.GiveUp(w.Machines[id])
		}
		w.watch(true)
		w.direct()
		for _, id := range w.IDs() {
			b := w.Machines[id]
			w.Boot(b)
			w.Connect(b)
		}
		w.settleStates()
		w.push()
		changed := w.Pushes != before
		for _, id := range w.IDs() {
			b := w.Machines[id]
			for len(b.Sent) > 0 {
				w.apply(b)
				w.watch(false)
			}
			for w.work(b) {
				changed = true
				w.watch(false)
			}
			w.Report(b)
		}
		if w.Err != nil || !changed && round > 3 {
			return
		}
	}
	w.Fail("it does not come to rest")
}

// end tells what is wrong once all is quiet.
func (w *world) end() error {
	if w.Err != nil {
		return w.Err
	}
	w.think()
	have := map[api.Role]int{}
	for id, b := range w.Machines {
		have[b.Info.Role]++
		if b.Info.Role == api.RoleProxy {
			if why := w.trouble(b); why != "" {
				return fmt.Errorf("requests to %s fail in the end: %s", id, why)
			}
			if v := b.runs.proxy.Version; v != w.Spec.Code.Wanted {
				return fmt.Errorf("%s gives %s, wanted is %s", id, v, w.Spec.Code.Wanted)
			}
		}
	}
	for _, r := range []api.Role{api.RoleProxy, api.RoleWeb, api.RoleBackend} {
		if have[r] != w.Spec.Nodes[r] {
			return fmt.Errorf("%d machines of role %s, want %d", have[r], r, w.Spec.Nodes[r])
		}
	}
	first := w.IDs()[slices.IndexFunc(w.IDs(), func(id api.NodeID) bool { return w.Machines[id].Info.Role == api.RoleProxy })]
	for id, b := range w.Machines {
		for r, runs := range map[api.Role]bool{api.RoleWeb: b.runs.web != nil, api.RoleBackend: b.runs.backend != nil} {
			want := b.Info.Role == r || id == first && w.Spec.Nodes[r] == 0
			if runs != want {
				return fmt.Errorf("role %s on %s: %v, want %v", r, id, runs, want)
			}
		}
		if (b.runs.proxy != nil && b.runs.proxy.Sessions != nil) != (id == first) {
			return fmt.Errorf("the sessions of %s are %+v, the first proxy is %s", id, b.runs.proxy.Sessions, first)
		}
	}
	if p := w.Plan; p.State != api.StateRunning || p.Code.Serving != w.Spec.Code.Wanted || len(p.Endpoints) != w.Spec.Nodes[api.RoleProxy] {
		return fmt.Errorf("the plan says %s (%s), code %+v, endpoints %v", p.State, p.Reason, p.Code, p.Endpoints)
	}
	return nil
}
