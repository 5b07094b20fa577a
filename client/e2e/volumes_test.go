package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// What is written to a volume is read on the machine that takes the place of a destroyed one, twice; it outlives stop and start,
// and its application; and nothing of it is left on the host when it is destroyed.
func TestVolumesProcess(t *testing.T)   { volumes(t, "process") }
func TestVolumesContainer(t *testing.T) { volumes(t, "container") }

// log is the file on the volume, from the root of a machine.
const volumeLog = "var/lib/conpaas/volumes/files/log"

func volumes(t *testing.T, runtime string) {
	w := shop(t, runtime, 1)
	node := w.served()
	w.cps("volume", "create", "shop", "files", "--size", "64", "--node", string(node))
	want := ""
	write := func(word string) {
		t.Helper()
		w.cps("node", "exec", string(node), "--", "sh", "-c", "echo "+word+" >> "+volumeLog)
		want += word + "\n"
	}
	read := func() {
		t.Helper()
		if got := w.cps("node", "exec", string(node), "--", "cat", volumeLog); got != want {
			t.Errorf("on node %s the volume has %q, want %q", node, got, want)
		}
	}
	write("first")
	for _, word := range []string{"second", "third"} {
		if word == "third" { // nobody looks while the machine ends
			w.kill()
		}
		w.machine(node).destroy()
		if word == "third" {
			w.start()
		}
		node = w.holder(node)
		read()
		write(word)
	}
	w.cps("application", "stop", "shop")
	w.cps("application", "start", "shop")
	node = w.holder(node)
	read()

	w.cps("volume", "detach", "shop", "files")
	if _, err := w.try("node", "exec", string(node), "--", "cat", volumeLog); err == nil {
		t.Error("the machine has the volume still")
	}
	w.cps("volume", "attach", "shop", "files", string(node))
	read()
	w.cps("application", "delete", "shop", "--yes")
	orphan := w.volumes("--orphans")[0]
	if orphan.Until == nil || orphan.Until.Sub(orphan.Since) != 7*24*time.Hour {
		t.Errorf("the orphan is %+v", orphan)
	}
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	w.cps("volume", "restore", string(orphan.ID), "shop")
	node = w.served()
	w.cps("volume", "attach", "shop", "files", string(node))
	read()
	w.cps("volume", "detach", "shop", "files")
	w.cps("volume", "delete", "shop", "files", "--yes")
	left, err := filepath.Glob(filepath.Join(w.data(), "clouds/default/volumes/*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	w.cps("application", "delete", "shop", "--yes")
	if left := w.loops(); len(left) > 0 {
		t.Errorf("left are the loop devices of %v", left)
	}
}

// served gives the newest machine of the service.
func (w *world) served() (node api.NodeID) {
	w.t.Helper()
	for _, n := range w.nodes() {
		if n.Role != api.ManagerRole {
			node = n.ID
		}
	}
	return node
}

// volumes gives what cps volume list says.
func (w *world) volumes(of string) (list []api.Volume) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.cps("volume", "list", of, "-o", "json")), &list); err != nil {
		w.t.Fatal(err)
	}
	return list
}

// holder waits until another machine has the volume files, and gives it.
func (w *world) holder(before api.NodeID) (node api.NodeID) {
	w.t.Helper()
	w.eventually(2*time.Minute, "another machine has the volume", func() error {
		v := w.volumes("shop")[0]
		if v.State != api.VolumeAttached || v.Node == before {
			return fmt.Errorf("it is %s at %s: %s", v.State, v.Node, v.Reason)
		}
		node = v.Node
		return nil
	})
	w.eventually(time.Minute, "the machine serves", func() error { return w.exactly(1) })
	return node
}

// loops gives the files of this installation that loop devices have.
func (w *world) loops() (files []string) {
	w.t.Helper()
	bound, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range bound {
		if file, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(file), w.dir) {
			files = append(files, strings.TrimSpace(string(file)))
		}
	}
	return files
}
