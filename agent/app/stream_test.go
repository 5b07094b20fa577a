package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"conpaas/client/api"
)

// What a reader puts together with Merge is what the board said, whatever happens and in however many lines
// it comes; only counters may lag behind, and only until they are refreshed.
func TestStreamAndMergeAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var known *api.NodeStatus
		d := sender{refresh: time.Minute, emit: func(r api.AgentReport) error {
			if known == nil {
				known = r.Status
				return nil
			}
			merged := known.Merge(*r.Status)
			known = &merged
			return nil
		}}
		now := time.Unix(0, 0)
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			s := api.NodeStatus{Node: "n2", Applied: rapid.Uint64Range(0, 2).Draw(t, "applied")}
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 6), 0, 6, rapid.ID[int]).Draw(t, "peers") {
				s.Overlay = append(s.Overlay, api.PeerStatus{
					Peer: api.NodeID(fmt.Sprint("n", n)), Path: rapid.SampledFrom([]api.PathKind{api.PathNone, api.PathDirect}).Draw(t, "path"),
					Received: rapid.Int64Range(0, 3).Draw(t, "received"),
				})
			}
			slices.SortFunc(s.Overlay, func(a, b api.PeerStatus) int { return cmp.Compare(a.Peer, b.Peer) })
			now = now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Hour}).Draw(t, "pause"))
			if err := d.status(s, now); err != nil {
				t.Fatal(err)
			}
			options := gocmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{})}
			if now.Sub(d.counters) > 0 {
				options = append(options, cmpopts.IgnoreFields(api.PeerStatus{}, "Received"))
			}
			if diff := gocmp.Diff(s, *known, options); diff != "" {
				t.Fatalf("the reader knows something else (-said +known):\n%s", diff)
			}
		}
	})
}

func TestStreamOfManyPeers(t *testing.T) {
	var s api.NodeStatus
	for i := range 3*chunk + 1 {
		s.Overlay = append(s.Overlay, api.PeerStatus{Peer: api.NodeID(fmt.Sprintf("n%06d", i)), Path: api.PathDirect})
	}
	lines := 0
	var known api.NodeStatus
	d := sender{refresh: time.Minute, emit: func(r api.AgentReport) error {
		if len(r.Status.Overlay) > chunk {
			t.Errorf("a line has %d peers", len(r.Status.Overlay))
		}
		known = known.Merge(*r.Status)
		lines++
		return nil
	}}
	if err := d.status(s, time.Now()); err != nil {
		t.Fatal(err)
	}
	if lines != 4 || len(known.Overlay) != len(s.Overlay) {
		t.Errorf("%d peers came in %d lines; want %d in 4", len(known.Overlay), lines, len(s.Overlay))
	}
	if err := d.status(s, time.Now()); err != nil || lines != 4 {
		t.Errorf("an unchanged status was sent again: %d lines, %v", lines, err)
	}
}

// A stream says something at least every Heartbeat, delivers each event once, and a reader that leaves ends it.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{boot: api.Bootstrap{Node: "n2"}, board: newBoard(), timing: DefaultTiming()}
		for i := range maxEvents + 3 {
			a.board.event("test", false, "event %d", i)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var statuses, events, signs int
		last := time.Now()
		done := make(chan error, 1)
		go func() {
			done <- a.Reports(ctx, func(r api.AgentReport) error {
				if time.Since(last) > 10*time.Second {
					t.Errorf("nothing came for %s", time.Since(last))
				}
				last = time.Now()
				switch {
				case r.Status != nil:
					statuses++
				case r.Event != nil:
					events++
				default:
					signs++
				}
				return nil
			})
		}()
		<-time.After(time.Minute)
		a.board.change(func(s *api.NodeStatus) { s.Applied = 7 })
		synctest.Wait()
		if statuses != 2 || events != maxEvents || signs < 6 {
			t.Errorf("%d statuses, %d events, %d signs of life", statuses, events, signs)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Reports = %v", err)
		}
		gone := errors.New("gone")
		if err := a.Reports(t.Context(), func(api.AgentReport) error { return gone }); !errors.Is(err, gone) {
			t.Errorf("Reports = %v; want the error of emit", err)
		}
	})
}
