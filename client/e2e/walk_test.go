package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// walk goes through the operations of a service, and something dies in the middle of each.
type walk struct {
	*world
	random   *rand.Rand
	service  string                  // its name
	programs []string                // a word of the command line of each program that may be killed
	lost     map[api.NodeID]api.Role // machines that were, with all that was on them
	within   time.Duration           // the first death comes so soon after the beginning, the second one after the first
	killed   int
}

// walks takes as many walks through the operations of a service, each with its own moments and victims; with -seed that one alone.
func walks(t *testing.T, service string, count uint64, way func(*walk)) {
	t.Parallel()
	first, last := uint64(1), count
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			w := &walk{service: service, world: newWorld(t, t.TempDir(), "container"), random: rand.New(rand.NewPCG(s, s)), lost: make(map[api.NodeID]api.Role)}
			t.Cleanup(w.close)
			w.start()
			w.login()
			t.Cleanup(func() {
				if t.Failed() {
					w.tell()
				}
			})
			way(w)
			if w.killed == 0 {
				t.Error("nothing was killed: this walk does not try")
			}
		})
	}
}

// step begins an operation, kills one or two things while it goes on, and waits until it has ended as it should and what is said holds.
func (w *walk) step(ends api.OperationState, holds func() error, args ...string) {
	w.t.Helper()
	what := strings.Join(args, " ")
	begun, lost := time.Now(), len(w.lost)
	var operation api.Operation
	w.eventually(time.Minute, what+" is begun", func() error { // not before the manager has told what the last death has changed
		out, err := w.try(append(args, "--no-wait", "-o", "json")...)
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(out), &operation)
	})
	for range 1 + w.random.IntN(2) {
		time.Sleep(time.Duration(w.random.Int64N(int64(w.within)))) // the moment is what is random here
		w.t.Logf("%s, %v: kill %s", what, time.Since(begun).Round(time.Millisecond), w.killOne())
	}
	w.eventually(3*time.Minute, what, func() error {
		out, err := w.try("operation", "show", string(operation.ID), "-o", "json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &operation)
		}
		if err == nil && operation.Ended == nil {
			err = fmt.Errorf("%s: %s", operation.State, operation.Progress)
		}
		return err
	})
	mayEnd := operation.State == api.OperationCancelled && len(w.lost) > lost // it was about a machine that was lost
	if operation.State != ends && !mayEnd {
		w.t.Errorf("%s has %s, want %s: %+v", what, operation.State, ends, operation.Error)
	}
	w.eventually(2*time.Minute, "what is true after "+what, holds)
	w.t.Logf("%s: %v", what, time.Since(begun).Round(time.Millisecond))
}

// tell logs where everything stands.
func (w *walk) tell() {
	for _, args := range [][]string{{"node", "list", "shop", "-o", "yaml"}, {"service", "list", "shop", "-o", "yaml"}, {"operation", "list"}, {"volume", "list"}, {"service", "log", "shop", w.service}, {"service", "log", "shop", w.service, "--kind", "error"}} {
		out, err := w.try(args...)
		w.t.Logf("cps %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// killOne kills something, and tells what.
func (w *walk) killOne() string {
	victim := w.random.IntN(6)
	if victim == 0 {
		w.killed++
		w.kill()
		w.start()
		return "the director"
	}
	nodes := w.nodes()
	node := nodes[w.random.IntN(len(nodes))]
	if victim == 1 {
		node = manager(nodes)
	}
	m, ok := w.find(node.ID)
	if !ok || m.Task.PID == 0 {
		return "nothing: " + string(node.ID) + " has no machine"
	}
	switch victim {
	case 1, 2:
		w.killed += len(m.killDaemon())
		return fmt.Sprintf("the daemon of %s, %s", node.ID, node.Role)
	case 3:
		w.killed++
		w.lost[node.ID] = node.Role
		m.destroy()
		return fmt.Sprintf("the machine of %s, %s", node.ID, node.Role)
	}
	word := w.programs[w.random.IntN(len(w.programs))]
	count := w.killAll(word)
	w.killed += count
	return fmt.Sprintf("%d of %s", count, word)
}

// upload uploads a version of a service of the application shop, a tar.gz of these files, and gives its id.
func (w *world) upload(service string, files map[string]string) string {
	w.t.Helper()
	var members []member
	for name, text := range files {
		members = append(members, member{name: name, text: text})
	}
	w.write("code.tar.gz", string(pack(w.t, "tar.gz", members)))
	var version api.CodeVersion
	if err := json.Unmarshal([]byte(w.cps(service, "upload-code", "shop", service, w.path("code.tar.gz"), "-o", "json")), &version); err != nil {
		w.t.Fatal(err)
	}
	return version.ID
}
