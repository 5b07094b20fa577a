package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

var errCrash, errRefused = errors.New("crash"), errors.New("refused")

// host is a machine whose clock anybody may set, and whose uptime nobody can.
type host struct {
	wall   time.Time
	boot   int
	uptime time.Duration
}

// purse walks at random through the lives of machines, of time and of the director, with a model of what has to be paid.
type purse struct {
	dir   string
	s     *Store
	host  host
	fails string // the failpoint that crashes

	users    int
	user     api.UserID
	admin    bool
	apps     []Application
	services map[api.ApplicationID]Service

	balance int64
	elapsed time.Duration // now
	ticked  time.Duration // at the last tick
	wall    time.Time     // at the last tick
	seats   map[api.NodeID]*seat
	chains  map[api.NodeID]int
	joined  map[api.NodeID]bool
}

// However machines, the clock and the director come and go, everybody pays for exactly the hours that have begun, once, and never
// more than there is.
func TestRandomWalkPaysEveryHourOnce(t *testing.T) {
	p := &purse{dir: t.TempDir(), host: host{wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), boot: 1, uptime: time.Hour}}
	p.open(t)
	defer func() { _ = p.s.Close() }()
	rapid.Check(t, func(r *rapid.T) {
		p.start(r)
		defer p.end(r)
		r.Repeat(map[string]func(*rapid.T){
			"reserve": p.reserve, "step": p.step, "join": p.join, "lose": p.lose, "replace": p.replace, "charge": p.charge, "pass": p.pass, "set clock": p.setClock,
			"restart": p.restart, "reboot": p.reboot, "grant": p.grant, "run": p.run, "role": p.role, "": p.check,
		})
	})
}

func (p *purse) open(t interface{ Fatal(...any) }) {
	s, err := Open(context.Background(), p.dir, Options{
		Now:    func() time.Time { return p.host.wall },
		Uptime: func() (string, time.Duration) { return fmt.Sprint(p.host.boot), p.host.uptime },
		Failpoint: func(name string) error {
			if name == p.fails {
				return errCrash
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.s, p.ticked, p.wall = s, p.elapsed, p.host.wall
}

// update runs fn, crashes before or after its commit now and then, and tells whether it was committed.
func (p *purse) update(t *rapid.T, allowed error, fn func(tx *Tx) error) bool {
	p.fails = rapid.SampledFrom([]string{"", "", "", "", "", "", "", "", "walk/before", "walk/after"}).Draw(t, "crash")
	err := p.s.Update(context.Background(), "walk", fn)
	crashed := p.fails
	p.fails = ""
	switch {
	case errors.Is(err, errCrash):
		p.restart(t)
		return crashed == "walk/after"
	case err != nil && allowed != nil && errors.Is(err, allowed):
		return false
	case err != nil:
		t.Fatal(err)
	}
	return true
}

func (p *purse) start(t *rapid.T) {
	p.users++
	p.balance, p.admin, p.apps = rapid.Int64Range(0, 30).Draw(t, "credit"), false, nil
	p.services, p.seats = map[api.ApplicationID]Service{}, map[api.NodeID]*seat{}
	p.chains, p.joined = map[api.NodeID]int{}, map[api.NodeID]bool{}
	err := p.s.Update(context.Background(), "start", func(tx *Tx) error {
		if p.users == 1 {
			if _, err := tx.CreateUser(User{Name: "root", Role: api.RoleAdmin}); err != nil {
				return err
			}
		}
		u, err := tx.CreateUser(User{Name: fmt.Sprintf("user%d", p.users), Role: api.RoleUser, Credit: p.balance})
		if err != nil {
			return err
		}
		p.user = u.ID
		for _, name := range []string{"shop", "blog"} {
			a, err := tx.CreateApplication(small(u.ID, name))
			if err != nil {
				return err
			}
			if p.services[a.ID], err = startedService(tx, a.ID, "web"); err != nil {
				return err
			}
			if a, err = tx.SetApplicationWanted(a.ID, ApplicationRunning); err != nil {
				return err
			}
			p.apps = append(p.apps, a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// end leaves nothing that costs to the walks that follow.
func (p *purse) end(t *rapid.T) {
	err := p.s.Update(context.Background(), "end", func(tx *Tx) error {
		for _, a := range p.apps {
			if _, err := tx.SetApplicationWanted(a.ID, ApplicationStopped); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *purse) nodes(t *rapid.T) (nodes []Node) {
	err := p.s.View(context.Background(), func(r *Read) (err error) {
		for _, a := range p.apps {
			of, err := r.LiveNodes(a.ID)
			if err != nil {
				return err
			}
			nodes = append(nodes, of...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

func (p *purse) wanted(id api.ApplicationID) bool {
	return slices.ContainsFunc(p.apps, func(a Application) bool { return a.ID == id && a.Wanted == ApplicationRunning })
}

func (p *purse) reserve(t *rapid.T) {
	p.reserveFor(t, rapid.SampledFrom(p.apps).Draw(t, "application"), rapid.Bool().Draw(t, "manager"), rapid.IntRange(1, 3).Draw(t, "count"))
}

// replace loses a machine that was of use and has another one made at once.
func (p *purse) replace(t *rapid.T) {
	nodes := slices.DeleteFunc(p.nodes(t), func(n Node) bool { return n.State != api.NodeJoined && n.State != api.NodeReady })
	if len(nodes) == 0 {
		p.join(t)
		return
	}
	n := rapid.SampledFrom(nodes).Draw(t, "node")
	p.apply(t, n, life.NodeVanished)
	i := slices.IndexFunc(p.apps, func(a Application) bool { return a.ID == n.Application })
	p.reserveFor(t, p.apps[i], n.IsManager(), 1)
}

func (p *purse) reserveFor(t *rapid.T, a Application, manager bool, count int) {
	web := p.services[a.ID]
	if !p.wanted(a.ID) {
		return
	}
	service := web.ID
	if manager {
		service, count = 0, 1
		if slices.ContainsFunc(p.nodes(t), func(n Node) bool { return n.Application == a.ID && n.IsManager() && acts(n.State) }) {
			return
		}
	}
	var lost []api.NodeID
	for id, s := range p.seats {
		if s.vacant && s.application == a.ID && s.service == service && s.next() > p.elapsed {
			lost = append(lost, id)
		}
	}
	cost := int64(max(0, count-len(lost)))
	var made []Node
	done := p.update(t, errRefused, func(tx *Tx) (err error) {
		if manager {
			var n Node
			n, err = tx.ReserveManager(a.ID, "default", Limits{})
			made = []Node{n}
		} else {
			made, err = tx.ReserveNodes(Reservation{Application: a.ID, Service: web.ID, Role: "node", Cloud: "default", Count: count})
		}
		switch {
		case errors.Is(err, ErrQuota): // of addresses
			return errRefused
		case errors.Is(err, ErrCredit) && !p.admin && cost > p.balance:
			return errRefused
		}
		return err
	})
	if !done {
		return
	}
	if !p.admin && cost > p.balance {
		t.Fatalf("%d machines for %d, and there are %d", count, cost, p.balance)
	}
	slices.SortFunc(lost, func(a, b api.NodeID) int {
		if d := p.seats[b].next() - p.seats[a].next(); d != 0 {
			return int(d)
		}
		x, _ := nodeSeq(a)
		y, _ := nodeSeq(b)
		return int(x - y)
	})
	for i, n := range made {
		s := &seat{application: a.ID, service: service, start: p.elapsed, hours: 1, own: true, chain: len(p.chains) + 1}
		if i < len(lost) {
			old := p.seats[lost[i]]
			s.start, s.hours, s.own, s.chain = old.start, old.hours, false, old.chain
			delete(p.seats, lost[i])
		} else if !p.admin {
			s.first = 1
			p.balance--
		}
		p.seats[n.ID], p.chains[n.ID] = s, s.chain
	}
}

// apply has an event happen to a node, and to the model.
func (p *purse) apply(t *rapid.T, n Node, event life.NodeEvent) {
	c := NodeChange{}
	switch event {
	case life.NodeLaunched:
		c.Machine = "m-" + n.MachineToken()
	case life.NodeJoined:
		c.CSRKey, c.OverlayKey = "key-"+string(n.ID), api.OverlayKey("overlay-"+n.ID)
	}
	if p.update(t, nil, func(tx *Tx) error { return second(tx.Step(n.ID, event, c)) }) {
		to, _ := life.NextNode(n.State, event)
		p.moved(n, to, event == life.NodeJoined)
	}
}

func (p *purse) step(t *rapid.T) {
	if nodes := p.nodes(t); len(nodes) > 0 {
		n := rapid.SampledFrom(nodes).Draw(t, "node")
		p.apply(t, n, rapid.SampledFrom(life.NodeEvents(n.State)).Draw(t, "event"))
	}
}

// toward takes nodes in one of some states and has an event happen to one, so that walks get somewhere.
func (p *purse) toward(t *rapid.T, events map[api.NodeState]life.NodeEvent) {
	nodes := slices.DeleteFunc(p.nodes(t), func(n Node) bool { return events[n.State] == "" })
	if len(nodes) > 0 {
		n := rapid.SampledFrom(nodes).Draw(t, "node")
		p.apply(t, n, events[n.State])
	}
}

func (p *purse) join(t *rapid.T) {
	p.toward(t, map[api.NodeState]life.NodeEvent{api.NodeWanted: life.NodeLaunch})
	p.toward(t, map[api.NodeState]life.NodeEvent{api.NodeCreating: life.NodeJoined, api.NodeBooting: life.NodeJoined})
}

func (p *purse) lose(t *rapid.T) {
	p.toward(t, map[api.NodeState]life.NodeEvent{
		api.NodeBooting: life.NodeGiveUp, api.NodeJoined: life.NodeVanished, api.NodeReady: life.NodeVanished, api.NodeUnreachable: life.NodeGiveUp,
	})
}

// pass lets time pass while the host is up.
func (p *purse) pass(t *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 300).Draw(t, "minutes")) * time.Minute
	p.host.wall, p.host.uptime, p.elapsed = p.host.wall.Add(d), p.host.uptime+d, p.elapsed+d
}

// setClock is somebody who sets the clock of the host, forward or back by up to years.
func (p *purse) setClock(t *rapid.T) {
	p.host.wall = p.host.wall.Add(time.Duration(rapid.IntRange(-50_000, 50_000).Draw(t, "hours")) * time.Hour)
}

// restart is a new process of the director on the same host.
func (p *purse) restart(t *rapid.T) {
	if err := p.s.Close(); err != nil {
		t.Fatal(err)
	}
	p.open(t)
}

// reboot is a host that was off: only its clock tells for how long.
func (p *purse) reboot(t *rapid.T) {
	p.host.wall = p.host.wall.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "minutes")) * time.Minute)
	p.host.boot++
	p.host.uptime = time.Minute
	p.elapsed = p.ticked + min(max(0, p.host.wall.Sub(p.wall)), longestGap)
	p.restart(t)
}

func (p *purse) grant(t *rapid.T) {
	amount := rapid.Int64Range(-20, 20).Draw(t, "amount")
	if p.update(t, nil, func(tx *Tx) error { return second(tx.Grant(p.user, api.CreditGrant, amount, "root", "test")) }) {
		p.balance = max(0, p.balance+amount)
	}
}

// run has the user start and stop an application, as the director does.
func (p *purse) run(t *rapid.T) {
	i := rapid.IntRange(0, len(p.apps)-1).Draw(t, "application")
	to := ApplicationRunning
	if p.wanted(p.apps[i].ID) && rapid.IntRange(0, 3).Draw(t, "stop") == 0 {
		to = ApplicationStopped
	}
	if p.update(t, nil, func(tx *Tx) error { return second(tx.SetApplicationWanted(p.apps[i].ID, to)) }) {
		p.apps[i].Wanted = to
	}
}

// role makes the user an administrator, who pays nothing, and an ordinary user again.
func (p *purse) role(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		return
	}
	role := api.RoleAdmin
	if p.admin {
		role = api.RoleUser
	}
	if p.update(t, nil, func(tx *Tx) error { return tx.SetUserRole(p.user, role) }) {
		p.admin = !p.admin
	}
}
