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
	p := w.plan
	leaving := slices.Concat(p.Drain, p.Delete)
	for _, id := range leaving {
		b := w.machines[id]
		if b.info.State != api.NodeDraining && b.info.Key != "" {
			b.info.State = api.NodeDraining
			w.say("%s is draining", id)
			continue
		}
		if slices.Contains(p.Delete, id) {
			w.remove(b)
		}
	}
	have := map[api.Role]int{}
	for id, b := range w.machines {
		if b.info.State != api.NodeDraining && !slices.Contains(leaving, id) {
			have[b.info.Role]++
		}
	}
	for _, r := range slices.Sorted(maps.Keys(p.Wanted)) {
		if p.Wanted[r] != w.spec.Nodes[r] {
			w.fail("%d machines of role %s are wanted, the spec says %d", p.Wanted[r], r, w.spec.Nodes[r])
		}
		for ; have[r] < p.Wanted[r]; have[r]++ {
			w.add(r)
		}
	}
	switch c := *w.spec.Code; {
	case c.Wanted == c.Serving:
	case p.Code.Serving == c.Wanted:
		w.setCode(c.Wanted, c.Wanted)
	case p.Code.Refused == c.Wanted:
		if !w.broken[c.Wanted] {
			w.fail("%s is refused: %s", c.Wanted, p.Code.Reason)
		}
		w.setCode(c.Serving, c.Serving)
	}
}

// remove deletes a machine of which the plan says that it may go.
func (w *world) remove(b *box) {
	for _, id := range w.ids() {
		u := w.machines[id]
		if u == b || u.dead || u.runs == nil {
			continue
		}
		if o := u.runs; o.web != nil && slices.Contains(names(o.web.Backends), b.info.ID) || o.proxy != nil && slices.Contains(names(o.proxy.Webs), b.info.ID) {
			w.fail("%s is deleted while %s uses it", b.info.ID, id)
		}
	}
	w.say("%s is deleted", b.info.ID)
	delete(w.machines, b.info.ID)
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
	w.spec.Code = c
	w.say("wanted %s, serving %s", wanted, serving)
}

// enable wants a version that nobody has seen yet.
func (w *world) enable(broken bool) {
	w.versions++
	id := fmt.Sprintf("code-%d", w.versions)
	w.broken[id] = broken
	w.setCode(id, w.spec.Code.Serving)
}

// restart replaces the manager by one that knows nothing but the spec, not even what is under way.
func (w *world) restart() {
	for _, b := range w.machines {
		b.connected, b.status, b.applied, b.sentLast, b.doubt = false, nil, "", "", false
		b.serving, b.blind = b.info.State == api.NodeReady, len(b.sent)
	}
	w.say("the manager is restarted")
}

// settleStates is what the director knows of machines by and by.
func (w *world) settleStates() {
	for _, b := range w.machines {
		if b.info.State == api.NodeJoined && b.connected && b.serving {
			b.info.State = api.NodeReady
		}
	}
}

// watch compares how requests are served with how they were before: what worked must go on to work unless a machine on
// the way was lost.
func (w *world) watch(lost bool) {
	for _, b := range w.machines {
		if lost {
			b.blind = len(b.sent)
		}
	}
	lost, w.late = lost || w.late, false
	known := w.known()
	for _, id := range w.ids() {
		b := w.machines[id]
		why := w.trouble(b)
		if b.works && why != "" && !lost && b.info.State != api.NodeDraining {
			w.fail("requests to %s fail: %s", id, why)
		}
		b.works = why == "" && (b.works || known)
	}
}

// known tells whether the manager knows everything of the machines that are alive. What came to work by something that it
// has not heard of yet may be undone: it was lost before.
func (w *world) known() bool {
	for _, b := range w.machines {
		if !b.dead && b.info.Key != "" && (!b.connected || b.doubt || !reflect.DeepEqual(b.status, b.state())) {
			return false
		}
	}
	return true
}

// trouble tells why requests to a proxy fail, "" when all of them work. What is dead counts as not there: those who use
// it find that out for themselves.
func (w *world) trouble(b *box) string {
	if b.dead || b.runs == nil || b.runs.proxy == nil || !b.up[api.RoleProxy] {
		return "it is no proxy"
	}
	version, some := b.runs.proxy.Version, false
	for _, web := range names(b.runs.proxy.Webs) {
		u := w.machines[web]
		if u == nil || u.dead {
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
			s := w.machines[id]
			if s == nil || s.dead || !s.serves() || !s.up[api.RoleBackend] {
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
		before := w.pushes
		for _, id := range w.ids() {
			b := w.machines[id]
			if b.dead {
				w.say("%s is given up", id)
				delete(w.machines, id)
			}
		}
		w.watch(true)
		w.direct()
		for _, id := range w.ids() {
			b := w.machines[id]
			w.boot(b)
			w.connect(b)
		}
		w.settleStates()
		w.push()
		changed := w.pushes != before
		for _, id := range w.ids() {
			b := w.machines[id]
			for len(b.sent) > 0 {
				w.apply(b)
				w.watch(false)
			}
			for w.work(b) {
				changed = true
				w.watch(false)
			}
			w.report(b)
		}
		if w.err != nil || !changed && round > 3 {
			return
		}
	}
	w.fail("it does not come to rest")
}

// end tells what is wrong once all is quiet.
func (w *world) end() error {
	if w.err != nil {
		return w.err
	}
	w.think()
	have := map[api.Role]int{}
	for id, b := range w.machines {
		have[b.info.Role]++
		if b.info.Role == api.RoleProxy {
			if why := w.trouble(b); why != "" {
				return fmt.Errorf("requests to %s fail in the end: %s", id, why)
			}
			if v := b.runs.proxy.Version; v != w.spec.Code.Wanted {
				return fmt.Errorf("%s gives %s, wanted is %s", id, v, w.spec.Code.Wanted)
			}
		}
	}
	for _, r := range []api.Role{api.RoleProxy, api.RoleWeb, api.RoleBackend} {
		if have[r] != w.spec.Nodes[r] {
			return fmt.Errorf("%d machines of role %s, want %d", have[r], r, w.spec.Nodes[r])
		}
	}
	first := w.ids()[slices.IndexFunc(w.ids(), func(id api.NodeID) bool { return w.machines[id].info.Role == api.RoleProxy })]
	for id, b := range w.machines {
		for r, runs := range map[api.Role]bool{api.RoleWeb: b.runs.web != nil, api.RoleBackend: b.runs.backend != nil} {
			want := b.info.Role == r || id == first && w.spec.Nodes[r] == 0
			if runs != want {
				return fmt.Errorf("role %s on %s: %v, want %v", r, id, runs, want)
			}
		}
		if (b.runs.proxy != nil && b.runs.proxy.Sessions != nil) != (id == first) {
			return fmt.Errorf("the sessions of %s are %+v, the first proxy is %s", id, b.runs.proxy.Sessions, first)
		}
	}
	if p := w.plan; p.State != api.StateRunning || p.Code.Serving != w.spec.Code.Wanted || len(p.Endpoints) != w.spec.Nodes[api.RoleProxy] {
		return fmt.Errorf("the plan says %s (%s), code %+v, endpoints %v", p.State, p.Reason, p.Code, p.Endpoints)
	}
	return nil
}
