package app

import (
	"strconv"
	"testing"

	"conpaas/client/api"
	"conpaas/director/store"
)

// One application cannot take all places, and all of them together not more than there are.
func TestSplicesAreBounded(t *testing.T) {
	var s splices
	begin := func(application, node int) (*splice, error) {
		return s.begin(store.Node{ID: api.NodeID("n" + strconv.Itoa(node)), Application: api.ApplicationID(application)}, func() {})
	}
	var last *splice
	for i := range splicesPerApplication {
		var err error
		if last, err = begin(1, i); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if _, err := begin(1, splicesPerApplication); api.CodeFrom(err) != api.CodeThrottled {
		t.Errorf("one more of the application: %v, want %s", err, api.CodeThrottled)
	}
	again, err := begin(1, splicesPerApplication-1)
	if err != nil {
		t.Errorf("another connection of a node that has one: %v", err)
	}
	s.finish(api.NodeID("n"+strconv.Itoa(splicesPerApplication-1)), last) // of the one that was replaced
	if _, _, carried := s.of(api.NodeID("n" + strconv.Itoa(splicesPerApplication-1))); !carried {
		t.Error("the end of a connection that was replaced has ended the newer one")
	}
	s.finish(api.NodeID("n"+strconv.Itoa(splicesPerApplication-1)), again)
	if _, err := begin(1, splicesPerApplication); err != nil {
		t.Errorf("after the end of one: %v", err)
	}
	for i := splicesPerApplication; i < splicesInAll; i++ {
		if _, err := begin(2+i/splicesPerApplication, 10_000+i); err != nil {
			t.Fatalf("connection %d in all: %v", i, err)
		}
	}
	if _, err := begin(1000, 100_000); api.CodeFrom(err) != api.CodeThrottled {
		t.Errorf("one more in all: %v, want %s", err, api.CodeThrottled)
	}
}
