package local_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
)

// TestSlots: however many machines are asked for at once, only twice as many as there are processors are made at a time,
// and all come.
func TestSlots(t *testing.T) {
	t.Parallel()
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess})
	var mu sync.Mutex
	now, most := 0, 0
	c.Failpoint = func(place string) {
		mu.Lock()
		defer mu.Unlock()
		switch place {
		case "launch:address":
			now++
			most = max(most, now)
		case "launch:done":
			now--
		}
	}
	l := start(t, c)
	wanted := 8 * runtime.NumCPU()
	var calls sync.WaitGroup
	for i := range wanted {
		calls.Go(func() {
			if _, err := l.Launch(t.Context(), cloud.Spec{Token: fmt.Sprintf("n%d-1", i), UserData: userData()}); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if list, err := l.List(t.Context()); err != nil || len(list) != wanted || most > 2*runtime.NumCPU() || most < 2 {
		t.Errorf("%d machines of %d, %d at a time, %v", len(list), wanted, most, err)
	}
}

// TestTogether lets callers launch, look and terminate at random on few tokens: a token never has two machines, and in the
// end exactly the machines are there that a last launch asks for.
func TestTogether(t *testing.T) {
	t.Parallel()
	const callers, steps, names = 6, 30, 4
	c := configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess})
	l := start(t, c)
	spec := func(n int) cloud.Spec { return cloud.Spec{Token: fmt.Sprintf("n%d-1", n), UserData: userData()} }
	var work sync.WaitGroup
	for caller := range callers {
		work.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(caller)))
			for range steps {
				id, err := l.Launch(t.Context(), spec(random.IntN(names)))
				if err != nil {
					t.Error(err)
					return
				}
				list, err := l.List(t.Context())
				seen := map[string]bool{}
				for _, m := range list {
					if seen[m.Token] {
						t.Errorf("token %s has two machines: %v", m.Token, list)
					}
					seen[m.Token] = true
				}
				if err != nil {
					t.Error(err)
				}
				if random.IntN(2) == 0 {
					if err := l.Terminate(t.Context(), id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	for n := range names {
		if _, err := l.Launch(t.Context(), spec(n)); err != nil {
			t.Error(err)
		}
	}
	list, err := l.List(t.Context())
	if err != nil || len(list) != names {
		t.Errorf("in the end there are %v, %v", list, err)
	}
	addresses := map[string]bool{}
	for _, m := range list {
		addresses[m.Address.String()] = true
		if m.State != cloud.StateRunning {
			t.Errorf("machine %+v does not run", m)
		}
	}
	dirs, err := filepath.Glob(filepath.Join(c.Dir, "machines", "*"))
	if err != nil || len(dirs) != names || len(addresses) != names {
		t.Errorf("directories %q, addresses %v, %v", dirs, addresses, err)
	}
}
