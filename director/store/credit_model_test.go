package store

import (
	"context"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// seat is what the model knows of one machine and its predecessors.
type seat struct {
	service     api.ServiceID
	application api.ApplicationID
	start       time.Duration
	hours       int
	first       int64 // what hour 0 has cost, where it was its own
	own, joined bool
	vacant      bool
	chain       int
}

func (s *seat) next() time.Duration { return s.start + time.Duration(s.hours)*Hour }

func (p *purse) moved(n Node, to api.NodeState, joined bool) {
	s := p.seats[n.ID]
	if s == nil || s.vacant {
		return
	}
	if joined {
		s.joined, p.joined[n.ID] = true, true
	}
	if acts(to) {
		return
	}
	lost := to == api.NodeFailed || n.State == api.NodeUnreachable
	if lost && (s.joined || !s.own) {
		s.vacant = true
		return
	}
	if !s.joined && s.own {
		p.balance += s.first
	}
	delete(p.seats, n.ID)
}

func (p *purse) charge(t *rapid.T) {
	states := map[api.NodeID]Node{}
	for _, n := range p.nodes(t) {
		states[n.ID] = n
	}
	for more := true; more; {
		committed := p.update(t, nil, func(tx *Tx) (err error) {
			_, more, err = tx.Charge(2)
			return err
		})
		p.ticked, p.wall = p.elapsed, p.host.wall
		more = more || !committed
	}
	var due []*seat
	hours := int64(0)
	for _, s := range p.seats {
		if s.vacant || !s.joined || !p.wanted(s.application) {
			continue
		}
		if s.next() <= p.elapsed {
			due = append(due, s)
			hours += int64((p.elapsed-s.next())/Hour) + 1
		}
	}
	if p.admin || hours <= p.balance {
		for _, s := range due {
			s.hours = int((p.elapsed-s.start)/Hour) + 1
		}
		if !p.admin {
			p.balance -= hours
		}
	} else {
		p.balance = 0
		for id, s := range p.seats {
			if s.vacant {
				continue
			}
			if !p.wanted(s.application) {
				continue
			}
			n := states[id]
			p.moved(n, api.NodeDeleting, false)
		}
		for i := range p.apps {
			p.apps[i].Wanted = ApplicationStopped
		}
	}
	for id, s := range p.seats {
		if s.vacant && s.next() <= p.elapsed {
			delete(p.seats, id)
		}
	}
}

func (p *purse) check(t *rapid.T) {
	var c Credit
	var entries []CreditEntry
	err := p.s.View(context.Background(), func(r *Read) (err error) {
		if c, err = r.Credit(p.user); err != nil {
			return err
		}
		for page := (Page{Limit: 1000}); ; {
			of, next, err := r.CreditEntries(p.user, CreditFilter{}, page)
			if entries = append(entries, of...); err != nil || next == 0 {
				return err
			}
			page.After = next
		}
	})
	if err == nil {
		err = checkCredits(p.s.read)
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, paid, hours := int64(0), map[api.NodeID]int64{}, map[string]bool{}
	for _, e := range entries {
		if sum += e.Amount; sum < 0 || sum != e.Balance {
			t.Fatalf("entry %+v where %d is left", e, sum)
		}
		if e.Node == "" {
			continue
		}
		paid[e.Node] += e.Amount
		hour := fmt.Sprintf("%d/%d", p.chains[e.Node], e.Hour)
		if e.Kind == api.CreditHour && hours[hour] {
			t.Fatalf("hour %s of a chain of replacements is charged twice: %+v", hour, e)
		}
		hours[hour] = hours[hour] || e.Kind == api.CreditHour
	}
	if sum != c.Balance || sum != p.balance {
		t.Fatalf("the balance is %d, its entries sum up to %d, and %d should be left", c.Balance, sum, p.balance)
	}
	for id, amount := range paid {
		if s := p.seats[id]; (s == nil || s.vacant) && !p.joined[id] && amount != 0 {
			t.Fatalf("node %s never joined and has cost %d", id, -amount)
		}
	}
	machines := 0
	for _, s := range p.seats {
		if !s.vacant {
			machines++
		}
	}
	if c.Machines != machines {
		t.Fatalf("%d machines cost, and %d should", c.Machines, machines)
	}
}
