package fault_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/fault"
)

// schedule reads a schedule that must be right.
func schedule(t testing.TB, text string) *fault.Schedule {
	t.Helper()
	s, err := fault.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNext walks through the calls of schedules.
func TestNext(t *testing.T) {
	none := fault.Fault{}
	kind := func(k cloud.Kind, rule string) fault.Fault { return fault.Fault{Kind: k, Rule: rule} }
	late := fault.Fault{Kind: cloud.KindTransient, Rule: "launch:4:timeout-after-success", After: true}
	for _, c := range []struct {
		schedule, operation string
		want                []fault.Fault
	}{
		{"", "launch", []fault.Fault{none, none}},
		{"launch:2:capacity", "launch", []fault.Fault{none, kind(cloud.KindCapacity, "launch:2:capacity"), none}},
		{"launch:2:capacity", "list", []fault.Fault{none, none, none}},
		{"launch:2+:not-found", "launch", []fault.Fault{none, kind(cloud.KindNotFound, "launch:2+:not-found"), kind(cloud.KindNotFound, "launch:2+:not-found")}},
		{"describe:2-3:throttled", "describe", []fault.Fault{none, kind(cloud.KindThrottled, "describe:2-3:throttled"), kind(cloud.KindThrottled, "describe:2-3:throttled"), none}},
		{"terminate:*:auth", "terminate", []fault.Fault{kind(cloud.KindAuth, "terminate:*:auth"), kind(cloud.KindAuth, "terminate:*:auth")}},
		{"launch:1:delay=200ms,launch:4:timeout-after-success", "launch", []fault.Fault{{Delay: 200 * time.Millisecond}, none, none, late}},
		{"launch:*:delay=1s, launch:1:delay=1ms , launch:1:quota,launch:1:permanent", "launch", []fault.Fault{
			{Kind: cloud.KindQuota, Rule: "launch:1:quota", Delay: 1001 * time.Millisecond}, {Delay: time.Second},
		}},
		{"list:1:empty-error,list:2:empty,list:3:late=30s,list:3:ghost=5s", "list", []fault.Fault{
			{Kind: cloud.KindTransient, Rule: "list:1:empty-error", Empty: true}, {Empty: true}, {Late: 30 * time.Second, Ghosts: 5 * time.Second},
		}},
		{"publish:100%:transient,publish:0%:quota,seed=7", "publish", []fault.Fault{kind(cloud.KindTransient, "publish:100%:transient")}},
	} {
		s := schedule(t, c.schedule)
		var got []fault.Fault
		for range c.want {
			got = append(got, s.Next(c.operation))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.schedule, diff)
		}
	}
}

// TestSeed: chances depend on the seed and the number of the call only, and come near the percentage.
func TestSeed(t *testing.T) {
	const calls, text = 2000, "launch:30%:capacity,list:50%:transient,seed="
	run := func(seed string, others int) (string, int) {
		s := schedule(t, text+seed)
		var b strings.Builder
		failed := 0
		for range calls {
			for range others {
				s.Next("list")
			}
			if s.Next("launch").Kind != "" {
				failed++
				b.WriteByte('x')
			} else {
				b.WriteByte('.')
			}
		}
		return b.String(), failed
	}
	first, failed := run("7", 0)
	if again, _ := run("7", 3); again != first {
		t.Error("the same seed gave other faults when there were other calls")
	}
	if other, _ := run("8", 0); other == first {
		t.Error("another seed gave the same faults")
	}
	if failed < calls*27/100 || failed > calls*33/100 {
		t.Errorf("%d of %d calls failed, want 30%%", failed, calls)
	}
}

// TestTogether: calls from many goroutines are counted one by one.
func TestTogether(t *testing.T) {
	s := schedule(t, "list:50:quota")
	var work sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for range 100 {
		work.Go(func() {
			if s.Next("list").Kind != "" {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	work.Wait()
	if failed != 1 {
		t.Errorf("%d calls were the 50th", failed)
	}
}

// wrong are schedules that must be refused.
var wrong = []string{
	",", "launch", "launch:1", "launch:1:", "lunch:1:quota", "launch:0:quota", "launch:-1:quota", "launch:x:quota", "launch:1:qouta", "launch:1:quota:x",
	"launch:3-2:quota", "launch:1-:quota", "launch:+:quota", "launch:101%:quota", "launch:%:quota", "launch:1:delay", "launch:1:delay=", "launch:1:delay=5",
	"launch:1:delay=-1s", "launch:1:empty", "launch:1:late=1s", "launch:1:not_found", "Launch:1:quota", "seed=", "seed=x", "seed=-1", "launch:1:quota,", "launch:1:quota=1s",
	"launch::quota", ":1:quota", "list:99999999999999999999:quota",
}

func TestWrong(t *testing.T) {
	for _, text := range wrong {
		if s, err := fault.Parse(text); err == nil {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range append(wrong, "launch:3:capacity,list:2:empty-error,launch:5:delay=200ms,launch:4:timeout-after-success,seed=3,list:10%:late=1s") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := fault.Parse(text)
		if err != nil {
			return
		}
		for _, operation := range []string{"launch", "list"} {
			got := s.Next(operation)
			if (got.Kind == "") != (got.Rule == "") || got.Delay < 0 || got.After && got.Kind != cloud.KindTransient {
				t.Errorf("%q gave %+v", text, got)
			}
		}
	})
}
