package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"conpaas/client/api"
)

var seed = flag.Uint64("seed", 0, "take only this walk of the TestFault tests")

// shop makes a world in which the application shop serves with count machines.
func shop(t *testing.T, runtime string, count int) *world {
	t.Helper()
	w := newWorld(t, t.TempDir(), runtime)
	t.Cleanup(w.close)
	w.shop(count)
	return w
}

// shop starts the director and an application with as many machines.
func (w *world) shop(count int) {
	w.t.Helper()
	w.start()
	w.login()
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	if count > 1 {
		w.cps("service", "add-nodes", "shop", "helloworld", "--node", fmt.Sprint(count-1))
	}
	w.eventually(30*time.Second, "everything is there", func() error { return w.exactly(count) })
}

// Whatever is killed at whatever moment of a scale-out, it ends with exactly the machines that were asked for.
func TestFaultScaleOutProcess(t *testing.T)   { scaleOut(t, "process", 20) }
func TestFaultScaleOutContainer(t *testing.T) { scaleOut(t, "container", 6) }

func scaleOut(t *testing.T, runtime string, walks uint64) {
	w := shop(t, runtime, 1)
	first, last := uint64(1), walks
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		if !t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) { w.t = t; w.walk(rand.New(rand.NewPCG(s, s))) }) {
			break
		}
	}
	w.t = t
	if *seed == 0 && w.killed < int(walks)/2 {
		t.Errorf("only %d daemons were killed in %d walks: this test hardly tries", w.killed, walks)
	}
}

// walk scales out by three, kills up to three things meanwhile, and scales in again.
func (w *world) walk(r *rand.Rand) {
	w.cps("service", "add-nodes", "shop", "helloworld", "--node", "3", "--no-wait")
	for range 1 + r.IntN(3) {
		time.Sleep(time.Duration(r.IntN(600)) * time.Millisecond) // the moment is what is random here
		switch victim := r.IntN(3); victim {
		case 0:
			w.t.Log("kill the director")
			w.kill()
			w.start()
		default:
			machines := w.machines()
			m := machines[r.IntN(len(machines))]
			pids := m.killDaemon()
			w.killed += len(pids)
			w.t.Logf("kill the daemon of machine %s: pids %v", m.Token, pids)
		}
	}
	w.eventually(90*time.Second, "four machines", func() error { return w.exactly(4) })
	w.eventually(30*time.Second, "the operation has ended", func() error {
		return w.noOpenOperation()
	})
	w.cps("service", "remove-nodes", "shop", "helloworld", "--node", "3")
	w.eventually(60*time.Second, "one machine", func() error { return w.exactly(1) })
}

func (w *world) noOpenOperation() error {
	out, err := w.try("operation", "list", "-o", "json")
	if err != nil {
		return err
	}
	for _, state := range []api.OperationState{api.OperationPending, api.OperationRunning} {
		if slices.Contains(fieldsOf(out, "state"), string(state)) {
			return errors.New("an operation is " + string(state))
		}
	}
	return nil
}

// The machine of the manager is lost with its disk while machines are being added: another takes its place, the machines
// come, and what served goes on serving.
func TestFaultManagerMachineLost(t *testing.T) {
	w := shop(t, "container", 2)
	before := w.pids()
	old := manager(w.nodes())
	l := startLoad(t, w.endpoints())
	w.cps("service", "add-nodes", "shop", "helloworld", "--node", "3", "--no-wait")
	w.machine(old.ID).destroy()
	w.eventually(120*time.Second, "a new manager and five machines", func() error {
		if err := w.exactly(5); err != nil {
			return err
		}
		if nodes, err := w.tryNodes(); err != nil || manager(nodes).ID == old.ID {
			return fmt.Errorf("the manager is still %s, %w", old.ID, err)
		}
		return nil
	})
	l.stop(t)
	w.samePIDs(before)
}

// Agents, the manager and the director only tell the programs that serve what to do: killing them touches no request.
func TestFaultDaemonsKilled(t *testing.T) {
	w := shop(t, "container", 2)
	before := w.pids()
	l := startLoad(t, w.endpoints())
	for range 3 {
		for _, m := range w.machines() {
			old := m.killDaemon()
			if len(old) != 1 {
				t.Fatalf("machine %s has daemons %v, want one", m.Token, old)
			}
			w.eventually(20*time.Second, "the daemon is back", func() error {
				now := m.daemons()
				if len(now) == 0 || slices.Equal(now, old) {
					return fmt.Errorf("pids %v, before %v", now, old)
				}
				return nil
			})
		}
		w.kill()
		w.start()
	}
	w.eventually(60*time.Second, "everything is ready again", func() error { return w.reached(2) })
	l.stop(t)
	w.samePIDs(before)
}

// pids gives the pids of the overlays and of nginx per machine.
func (w *world) pids() map[string][]int {
	pids := make(map[string][]int)
	for _, m := range w.machines() {
		pids[m.ID] = append(m.processes(" overlay "), m.processes("nginx: master")...)
	}
	return pids
}

// samePIDs checks that the machines that are still there run the same programs.
func (w *world) samePIDs(before map[string][]int) {
	w.t.Helper()
	for id, now := range w.pids() {
		if old, ok := before[id]; ok && !slices.Equal(now, old) {
			w.t.Errorf("machine %s: pids of overlay and nginx are %v, were %v", id, now, old)
		}
	}
}
