package app

import (
	"context"
	"iter"
	"strconv"
	"time"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Events gives a page of an application's history, oldest first.
func (d *Director) Events(ctx context.Context, a Actor, ref string, p Page) (list api.List[api.Event], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		v, err := findApplication(r, a, ref, toView)
		if err != nil {
			return err
		}
		events, next, err := r.Events(v.ID, page)
		list = showEvents(events, next)
		return err
	})
	return list, problem(err)
}

func showEvents(events []store.Event, next int64) api.List[api.Event] {
	list := api.List[api.Event]{Items: make([]api.Event, len(events)), Next: cursor(next)}
	for i, e := range events {
		list.Items[i] = api.Event{
			ID: e.ID, Time: e.Time, Application: e.Application, Service: e.Service, Node: e.Node, Operation: e.Operation,
			Kind: e.Kind, Text: e.Text, Alarm: e.Alarm,
		}
	}
	return list
}

// EventCursor is the after with which the history goes on behind e.
func EventCursor(e api.Event) string { return strconv.FormatInt(e.ID, 10) }

// keepAlive is how often a watcher hears something though nothing has changed.
const keepAlive = 15 * time.Second

// FollowEvents gives the history from after on and what comes, until ctx ends; nil now and then, to keep a
// connection alive.
func (d *Director) FollowEvents(ctx context.Context, a Actor, ref, after string) iter.Seq2[*api.Event, error] {
	return func(yield func(*api.Event, error) bool) {
		v, err := d.find(ctx, a, ref, toView)
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, end := d.whileReachable(ctx, a, stillApplication(a, v.ID, toView))
		defer end()
		changed, stop := d.feed.watch(applicationKey(v.ID))
		defer stop()
		for {
			list, err := d.Events(ctx, a, v.ID.String(), Page{After: after})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range list.Items {
				if !yield(&e, nil) {
					return
				}
				after = EventCursor(e)
			}
			if len(list.Items) > 0 {
				continue
			}
			if !await(ctx, changed, func() bool { return yield(nil, nil) }) {
				return
			}
		}
	}
}

// await waits for a change and keeps the watcher's connection alive meanwhile; false: the watcher has left.
func await(ctx context.Context, changed <-chan struct{}, alive func() bool) bool {
	for {
		timer := time.NewTimer(keepAlive)
		select {
		case <-changed:
			timer.Stop()
			return true
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			if !alive() {
				return false
			}
		}
	}
}
