package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// Whatever dies in the middle of whatever is done to scripts and their volumes: each command is begun once on each machine, each machine
// knows the others, and what is on the volume is there.
func TestFaultGeneric(t *testing.T) { walks(t, "generic", 1, genericWalk) }

// genericCode writes down what is begun. The version is in its name for this file.
func genericCode(version string) map[string]string {
	return map[string]string{
		"init.sh":    `echo "init ` + version + `" >> "$HOME/log"`,
		"notify.sh":  `cp "$AGENTS_JSON" "$HOME/told"`,
		"run.sh":     `echo "run $1" >> "$HOME/log"; exec sleep "$2"`,
		"cleanup.sh": `echo "cleanup $1" >> "$HOME/log"`,
	}
}

// scripts is what a machine says of its scripts.
type scripts struct {
	Node  api.NodeID       `json:"node"`
	State api.RoleState    `json:"state"`
	Facts api.GenericFacts `json:"facts"`
}

func genericWalk(w *walk) {
	w.within = time.Second
	w.cps("application", "create", "shop")
	w.cps("service", "add", "generic", "shop")
	w.cps("service", "start", "shop", "generic")
	one, two := w.upload("generic", genericCode("one")), w.upload("generic", genericCode("two"))
	w.cps("generic", "enable-code", "shop", "generic", one)

	w.programs = []string{" overlay "}
	knows := func(version string, machines int) func() error {
		return func() error { return w.genericKnows(version, machines) }
	}
	w.step(api.OperationSucceeded, knows(one, 3), "generic", "add-nodes", "shop", "generic", "--node", "2")
	before := w.nodes()
	begun := func(line string) func() error {
		return func() error { return w.genericBegun(before, line) }
	}
	w.programs = []string{" overlay ", "sleep 3"}
	w.step(api.OperationSucceeded, begun("run first"), "generic", "run", "shop", "generic", "--parameters", "first 3")
	w.programs = []string{" overlay "}
	w.eventually(time.Minute, "nothing runs", w.genericRests)
	w.step(api.OperationSucceeded, knows(two, 3), "generic", "enable-code", "shop", "generic", two)
	before = w.nodes()
	w.step(api.OperationSucceeded, begun("run second"), "generic", "run", "shop", "generic", "--parameters", "second 1000")
	w.step(api.OperationSucceeded, w.genericRests, "generic", "interrupt", "shop", "generic")
	w.eventually(time.Minute, "nothing runs", w.genericRests)
	before = w.nodes()
	w.step(api.OperationSucceeded, begun("cleanup all"), "generic", "cleanup", "shop", "generic", "--parameters", "all")

	w.eventually(2*time.Minute, "all is well", knows(two, 3))
	last := w.of(api.RoleNode)[1].ID
	w.step(api.OperationSucceeded, w.volumeIsAttached, "volume", "create", "shop", "files", "--size", "32", "--node", string(last))
	w.eventually(2*time.Minute, "it can be written to", func() error {
		_, err := w.try("node", "exec", string(w.volumes("shop")[0].Node), "--", "sh", "-c", "echo kept > /"+volumeLog+" && sync")
		return err
	})
	w.step(api.OperationSucceeded, func() error { return w.volumeIs(api.VolumeAvailable) }, "volume", "detach", "shop", "files")
	w.eventually(2*time.Minute, "all is well", knows(two, 3))
	w.step(api.OperationSucceeded, func() error {
		if err := w.volumeIsAttached(); err != nil {
			return err
		}
		text, err := w.try("node", "exec", string(w.volumes("shop")[0].Node), "--", "cat", "/"+volumeLog)
		if err == nil && text != "kept\n" {
			err = fmt.Errorf("the volume has %q", text)
		}
		return err
	}, "volume", "attach", "shop", "files", string(w.of(api.RoleNode)[0].ID))
	w.step(api.OperationSucceeded, knows(two, 2), "generic", "remove-nodes", "shop", "generic", "--node", "1")
	w.step(api.OperationSucceeded, func() error { return w.exactly(0) }, "service", "stop", "shop", "generic")
	w.step(api.OperationSucceeded, knows(two, 2), "service", "start", "shop", "generic")
}

// genericKnows tells whether all machines use a version, and their scripts have been told of each other.
func (w *walk) genericKnows(version string, machines int) error {
	if err := w.reached(machines); err != nil {
		return err
	}
	all, err := w.scripts()
	if err != nil {
		return err
	}
	if len(all) != machines {
		return fmt.Errorf("%d machines have a say, want %d", len(all), machines)
	}
	members := ""
	for _, s := range all {
		if s.State != api.RoleReady || s.Facts.Version != version {
			return fmt.Errorf("%s is %s with version %s, want %s", s.Node, s.State, s.Facts.Version, version)
		}
		told, err := w.try("node", "exec", string(s.Node), "--", "sh", "-c", "cat ~cpsscript/told")
		if err != nil {
			return err
		}
		if members == "" {
			members = told
		}
		if told != members || !strings.Contains(told, `"`+string(s.Node)+`"`) || strings.Count(told, `"id"`) != machines {
			return fmt.Errorf("%s was told of %s, another of %s", s.Node, told, members)
		}
	}
	return nil
}

// genericBegun tells whether each machine that was there, and still is, has begun something once.
func (w *walk) genericBegun(before []api.Node, line string) error {
	for _, n := range before {
		if _, gone := w.lost[n.ID]; gone || n.Role == api.ManagerRole {
			continue
		}
		log, err := w.try("node", "exec", string(n.ID), "--", "sh", "-c", "cat ~cpsscript/log")
		if err != nil {
			return err
		}
		if got := strings.Count("\n"+log, "\n"+line+"\n"); got > 1 {
			w.t.Errorf("%s has begun %q %d times", n.ID, line, got)
		} else if got == 0 {
			return fmt.Errorf("%s has not begun %q: %s", n.ID, line, log)
		}
	}
	return nil
}

// genericRests tells whether no command runs on any machine.
func (w *walk) genericRests() error {
	all, err := w.scripts()
	for _, s := range all {
		if s.Facts.Scripts[api.GenericRun].Running {
			return fmt.Errorf("%s runs", s.Node)
		}
	}
	return err
}

func (w *walk) scripts() (all []scripts, err error) {
	out, err := w.try("generic", "status", "shop", "generic", "-o", "json")
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal([]byte(out), &all)
}

func (w *walk) volumeIsAttached() error { return w.volumeIs(api.VolumeAttached) }

func (w *walk) volumeIs(want api.VolumeState) error {
	if v := w.volumes("shop")[0]; v.State != want {
		return fmt.Errorf("the volume is %s at %s: %s", v.State, v.Node, v.Reason)
	}
	return nil
}
