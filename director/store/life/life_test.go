package life_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
	. "conpaas/director/store/life"
)

// reach gives every state that can follow from start.
func reach[S, E ~string](start S, events func(S) []E, next func(S, E) (S, error)) []S {
	seen := []S{start}
	for i := 0; i < len(seen); i++ {
		for _, e := range events(seen[i]) {
			to, err := next(seen[i], e)
			if err == nil && !slices.Contains(seen, to) {
				seen = append(seen, to)
			}
		}
	}
	return seen
}

func TestNodeTable(t *testing.T) {
	states := NodeStates()
	if all := reach(api.NodeWanted, NodeEvents, NextNode); len(all) != len(states) {
		t.Errorf("from wanted only %q of %q can be reached", all, states)
	}
	for _, s := range states {
		after := reach(s, NodeEvents, NextNode)
		if !slices.Contains(after, api.NodeGone) {
			t.Errorf("%s is stuck: it leads to %q and never to gone", s, after)
		}
		switch s {
		case api.NodeGone:
			if len(after) != 1 || len(NodeEvents(s)) != 0 {
				t.Errorf("gone is not final: %q", after)
			}
		case api.NodeDeleting:
			if len(after) != 2 {
				t.Errorf("deleting leads to %q, want only gone", after)
			}
		case api.NodeFailed:
			if !slices.Equal(after, []api.NodeState{api.NodeFailed, api.NodeDeleting, api.NodeGone}) {
				t.Errorf("failed leads to %q, want deleting, then gone", after)
			}
		default:
			if to, err := NextNode(s, NodeDelete); err != nil || to != api.NodeDeleting {
				t.Errorf("delete in %s: %s, %v", s, to, err)
			}
		}
		if to, err := NextNode(s, NodeDeleted); err == nil && s != api.NodeDeleting {
			t.Errorf("deleted in %s leads to %s: only deleting may end in gone", s, to)
		}
	}
}

// A node forgets its machine only in gone: a machine may exist from the moment of launch until retry or deleted, and in
// between every state either has its id or takes it.
func TestNodeNeverLosesMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, asked, known := api.NodeWanted, false, false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			events := NodeEvents(state)
			if len(events) == 0 {
				break
			}
			event := rapid.SampledFrom(events).Draw(t, "event")
			to, err := NextNode(state, event)
			if err != nil {
				t.Fatal(err)
			}
			switch event {
			case NodeLaunch:
				if asked {
					t.Fatalf("launch in %s although a machine may exist already", state)
				}
				asked = true
			case NodeLaunched:
				known = asked
			case NodeRetry:
				if known {
					t.Fatalf("retry in %s forgets a machine whose id is known", state)
				}
				asked = false
			case NodeDeleted:
				asked, known = false, false
			}
			if to == api.NodeGone && asked {
				t.Fatalf("%s in %s: gone while a machine may exist", event, state)
			}
			if asked && !known {
				if _, err := NextNode(to, NodeLaunched); err != nil {
					t.Fatalf("%s takes no machine id although the cloud has been asked: %v", to, err)
				}
			}
			state = to
		}
	})
}

func TestUnknownEventsAreRefused(t *testing.T) {
	for _, s := range NodeStates() {
		if _, err := NextNode(s, "nonsense"); !errors.Is(err, ErrTransition) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := NextNode("nonsense", NodeLaunch); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
	if _, err := NextOperation(api.OperationFailed, OperationStart); !errors.Is(err, ErrTransition) {
		t.Error(err)
	}
}

func TestOperationTable(t *testing.T) {
	if all := reach(api.OperationPending, OperationEvents, NextOperation); len(all) != len(OperationStates()) {
		t.Errorf("from pending only %q can be reached", all)
	}
	for _, s := range OperationStates() {
		after := reach(s, OperationEvents, NextOperation)
		if s.Final() != (len(after) == 1) {
			t.Errorf("%s (final %v) leads to %q", s, s.Final(), after)
		}
		if !slices.ContainsFunc(after, api.OperationState.Final) {
			t.Errorf("%s is stuck", s)
		}
	}
}

// A volume ends in gone by way of deleting alone, which only what no machine can have enters.
func TestVolumeTable(t *testing.T) {
	if all := reach(api.VolumeWanted, VolumeEvents, NextVolume); len(all) != len(VolumeStates()) {
		t.Errorf("from wanted only %q can be reached", all)
	}
	for _, s := range VolumeStates() {
		if after := reach(s, VolumeEvents, NextVolume); !slices.Contains(after, api.VolumeGone) {
			t.Errorf("%s is stuck: it leads to %q", s, after)
		}
		_, err := NextVolume(s, VolumeDelete)
		held := s == api.VolumeAttaching || s == api.VolumeAttached || s == api.VolumeDetaching || s == api.VolumeGone
		if held != (err != nil) {
			t.Errorf("delete in %s: %v", s, err)
		}
		if to, err := NextVolume(s, VolumeDeleted); err == nil && s != api.VolumeDeleting {
			t.Errorf("deleted in %s leads to %s", s, to)
		}
	}
}

// A volume forgets a machine only by detached, and is destroyed, orphaned or given to another only after that.
func TestVolumeNeverLosesMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, held := api.VolumeWanted, false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			events := VolumeEvents(state)
			if len(events) == 0 {
				break
			}
			event := rapid.SampledFrom(events).Draw(t, "event")
			to, err := NextVolume(state, event)
			if err != nil {
				t.Fatal(err)
			}
			switch event {
			case VolumeAttach:
				held = true
			case VolumeDetached:
				held = false
			}
			if holds := to == api.VolumeAttaching || to == api.VolumeAttached || to == api.VolumeDetaching; holds != held {
				t.Fatalf("%s in %s leads to %s, and a machine has it: %t", event, state, to, held)
			}
			state = to
		}
	})
}
