package app_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/directortest"
)

// withVolumes is the catalogue with a volume for each machine of helloworld.
func withVolumes() []api.ServiceKind {
	kinds := api.Catalogue()
	for i, k := range kinds {
		if k.Type == "helloworld" {
			kinds[i].Roles = slices.Clone(k.Roles)
			kinds[i].Roles[0].Volume = &api.VolumeKind{Name: "data", SizeMiB: 64}
		}
	}
	return kinds
}

// volumesOf gives the volumes of application shop.
func volumesOf(t *testing.T, d *directortest.Director) map[string]api.Volume {
	t.Helper()
	list, err := d.Volumes(t.Context(), d.Admin(), "shop", app.Page{})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]api.Volume{}
	for _, v := range list.Items {
		byName[v.Name] = v
	}
	return byName
}

// onCloud gives the machine of each volume of the cloud, by the volume's id.
func onCloud(t *testing.T, c *directortest.Cloud) map[cloud.VolumeID]cloud.MachineID {
	t.Helper()
	list, err := c.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := map[cloud.VolumeID]cloud.MachineID{}
	for _, v := range list {
		at[v.ID] = v.Machine
	}
	return at
}

// serving waits until so many machines of shop serve, each with its volume where they have one.
func volumesServe(t *testing.T, d *directortest.Director, count int, automatic bool) (nodes []api.Node) {
	t.Helper()
	directortest.Await(t, time.Minute, fmt.Sprintf("%d machines serve with their volumes", count), func() (err error) {
		if nodes, err = d.ApplicationNodes(t.Context(), d.Admin(), "shop"); err != nil {
			return err
		}
		nodes = slices.DeleteFunc(nodes, func(n api.Node) bool { return n.Role == api.ManagerRole })
		if len(nodes) != count {
			return fmt.Errorf("%d machines", len(nodes))
		}
		have := map[api.NodeID]bool{}
		for _, v := range volumesOf(t, d) {
			have[v.Node] = v.State == api.VolumeAttached
		}
		for _, n := range nodes {
			if n.State != api.NodeReady || automatic && !have[n.ID] {
				return fmt.Errorf("node %s is %s and has its volume: %t", n.ID, n.State, have[n.ID])
			}
		}
		return nil
	})
	return nodes
}

func startShop(t *testing.T, d *directortest.Director) {
	t.Helper()
	ctx, admin := t.Context(), d.Admin()
	_, err := d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"})
	if err == nil {
		_, err = d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: "helloworld"})
	}
	if err == nil {
		_, err = d.StartService(ctx, admin, "shop", "helloworld")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestUsersVolume: a volume that a user gives to a machine goes on to the machine that takes its place, twice; it stays when the
// application is stopped, and comes back; it is detached, and destroyed.
func TestUsersVolume(t *testing.T) {
	t.Parallel()
	d := directortest.Start(t, directortest.Options{Timing: app.Timing{Sweep: 20 * time.Millisecond}})
	ctx, admin, finish := t.Context(), d.Admin(), done(t, d, d.Admin())
	startShop(t, d)
	finish(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 1}}))
	nodes := volumesServe(t, d, 2, false)
	finish(d.CreateVolume(ctx, admin, "shop", api.VolumeCreate{Name: "files", SizeMiB: 64}))
	finish(d.AttachVolume(ctx, admin, "shop", "files", api.VolumeAttach{Node: nodes[0].ID}))
	at := onCloud(t, d.Cloud)
	if len(at) != 1 || at["vol1"] != cloud.MachineID(nodes[0].Machine) {
		t.Fatalf("the cloud has %v, node %s is machine %s", at, nodes[0].ID, nodes[0].Machine)
	}
	if got := d.Cloud.Spec(nodes[0].Application).Nodes; len(got) != 2 {
		t.Fatal(got)
	}
	holder := nodes[0].ID
	for range 2 {
		d.Cloud.Kill(holder)
		directortest.Await(t, time.Minute, "the successor has the volume", func() error {
			v := volumesOf(t, d)["files"]
			if v.State != api.VolumeAttached || v.Node == holder || v.Node == nodes[1].ID {
				return fmt.Errorf("it is %s at %s; lost was %s", v.State, v.Node, holder)
			}
			return nil
		})
		holder = volumesOf(t, d)["files"].Node
		nodes = volumesServe(t, d, 2, false)
	}
	_, err := d.AttachVolume(ctx, admin, "shop", "files", api.VolumeAttach{Node: nodes[0].ID})
	if api.CodeFrom(err) != api.CodeConflict || !strings.Contains(err.Error(), "cps volume detach shop files") {
		t.Errorf("given to two machines: %v", err)
	}
	if _, err := d.DeleteVolume(ctx, admin, "shop", "files"); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("destroyed while a machine has it: %v", err)
	}
	finish(d.StopApplication(ctx, admin, "shop"))
	finish(d.StartApplication(ctx, admin, "shop"))
	directortest.Await(t, time.Minute, "a machine has the volume again", func() error {
		if v := volumesOf(t, d)["files"]; v.State != api.VolumeAttached {
			return fmt.Errorf("it is %s at %q: %s", v.State, v.Node, v.Reason)
		}
		return nil
	})
	finish(d.DetachVolume(ctx, admin, "shop", "files"))
	if at := onCloud(t, d.Cloud); !maps.Equal(at, map[cloud.VolumeID]cloud.MachineID{"vol1": ""}) {
		t.Errorf("detached, the cloud has %v", at)
	}
	volumesServe(t, d, 2, false)
	finish(d.DeleteVolume(ctx, admin, "shop", "files"))
	if at := onCloud(t, d.Cloud); len(at) != 0 {
		t.Errorf("destroyed, the cloud has %v", at)
	}
	if broken := d.Cloud.Broken(); len(broken) > 0 {
		t.Error(broken)
	}
}

// TestVolumesOfRole: every machine has a volume of its own; the successor of a lost one gets its volume, stop keeps them all and
// start gives them back, and those of machines or services that are removed are orphans, which are restored or destroyed in time.
func TestVolumesOfRole(t *testing.T) {
	t.Parallel()
	d := directortest.Start(t, directortest.Options{Kinds: withVolumes(), Timing: app.Timing{Sweep: 20 * time.Millisecond, Stray: 20 * time.Millisecond}})
	ctx, admin, finish := t.Context(), d.Admin(), done(t, d, d.Admin())
	startShop(t, d)
	finish(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 1}}))
	nodes := volumesServe(t, d, 2, true)
	first := slices.Sorted(maps.Keys(onCloud(t, d.Cloud)))
	same := func(what string) {
		t.Helper()
		if now := slices.Sorted(maps.Keys(onCloud(t, d.Cloud))); !slices.Equal(first, now) {
			t.Errorf("%s: there were the volumes %v, and now %v", what, first, now)
		}
	}
	d.Cloud.Kill(nodes[0].ID)
	directortest.Await(t, time.Minute, "it is replaced", func() error {
		now, err := d.ApplicationNodes(ctx, admin, "shop")
		if err == nil && slices.ContainsFunc(now, func(n api.Node) bool { return n.ID == nodes[0].ID }) {
			err = errors.New("it is there")
		}
		return err
	})
	volumesServe(t, d, 2, true)
	same("a machine is lost")
	finish(d.StopApplication(ctx, admin, "shop"))
	finish(d.StartApplication(ctx, admin, "shop"))
	volumesServe(t, d, 2, true)
	same("stopped and started")

	for name := range volumesOf(t, d) {
		if _, err := d.DetachVolume(ctx, admin, "shop", name); api.CodeFrom(err) != api.CodeConflict {
			t.Errorf("a service's volume is detached: %v", err)
		}
	}
	finish(d.RemoveNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 1}}))
	orphans := awaitOrphans(t, d, 1)
	if o := orphans[0]; !strings.Contains(o.Origin, "helloworld") || o.Until == nil || o.Until.Sub(o.Since) != 7*24*time.Hour {
		t.Errorf("the orphan is %+v", o)
	}
	same("one is an orphan")
	finish(d.RemoveService(ctx, admin, "shop", "helloworld"))
	orphans = awaitOrphans(t, d, 2)
	same("all are orphans")
	restored, err := d.RestoreVolume(ctx, admin, string(orphans[0].ID), api.VolumeRestore{Application: "shop"})
	if err != nil || restored.State != api.VolumeAvailable || restored.Name != "restored-data" {
		t.Errorf("restored as %+v, %v", restored, err)
	}
	if err := d.DeleteOrphan(ctx, admin, string(orphans[1].ID)); err != nil {
		t.Error(err)
	}
	directortest.Await(t, time.Minute, "one volume is left", func() error {
		if at := onCloud(t, d.Cloud); len(at) != 1 {
			return fmt.Errorf("there are %v", at)
		}
		return nil
	})
	finish(d.DeleteApplication(ctx, admin, "shop"))
	orphans = awaitOrphans(t, d, 1)
	if orphans[0].Application != 0 || !strings.Contains(orphans[0].Origin, "application shop") {
		t.Errorf("left of the application is %+v", orphans)
	}
	if broken := d.Cloud.Broken(); len(broken) > 0 {
		t.Error(broken)
	}
}

func awaitOrphans(t *testing.T, d *directortest.Director, count int) (orphans []api.Volume) {
	t.Helper()
	directortest.Await(t, time.Minute, fmt.Sprintf("there are %d orphans", count), func() error {
		list, err := d.Orphans(t.Context(), d.Admin(), app.Page{})
		if orphans = list.Items; err == nil && len(orphans) != count {
			err = fmt.Errorf("there are %+v", orphans)
		}
		return err
	})
	return orphans
}

// TestStrayVolume: a volume that the database does not know is an orphan of nobody, and goes at the end of its grace.
func TestStrayVolume(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), directortest.NewCloud()
	t.Cleanup(c.Close)
	if _, err := c.CreateVolume(t.Context(), cloud.VolumeSpec{Token: "v7-forgotten", Name: "data", SizeMiB: 64}); err != nil {
		t.Fatal(err)
	}
	timing := app.Timing{Sweep: 10 * time.Millisecond, Stray: 30 * time.Millisecond}
	d := directortest.Start(t, directortest.Options{Dir: dir, Cloud: c, Timing: timing, Keep: time.Second})
	if o := awaitOrphans(t, d, 1)[0]; !strings.Contains(o.Origin, "not in the database") {
		t.Errorf("it is %+v", o)
	}
	directortest.Await(t, time.Minute, "it is destroyed", func() error {
		if at := onCloud(t, c); len(at) > 0 {
			return fmt.Errorf("there are %v", at)
		}
		return nil
	})
}

// TestRefusedVolume: what a cloud refuses is told to whoever asks for it, and leaves nothing; a machine that keeps its volume in use
// keeps it.
func TestRefusedVolume(t *testing.T) {
	t.Parallel()
	d := directortest.Start(t, directortest.Options{})
	ctx, admin := t.Context(), d.Admin()
	startShop(t, d)
	nodes := volumesServe(t, d, 1, false)
	d.Cloud.RefuseVolumes(func(op string) error {
		if op == "create-volume" {
			return &cloud.Error{Kind: cloud.KindQuota, Cloud: "memory", Op: op, Text: "no room for it"}
		}
		return nil
	})
	op, err := d.CreateVolume(ctx, admin, "shop", api.VolumeCreate{Name: "files", SizeMiB: 64, Node: nodes[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	if op = d.Finish(t, op); op.State != api.OperationFailed || !strings.Contains(op.Error.Error(), "no room for it") {
		t.Errorf("the operation is %s: %v", op.State, op.Error)
	}
	directortest.Await(t, time.Minute, "nothing is left", func() error {
		if left := volumesOf(t, d); len(left) > 0 {
			return fmt.Errorf("left are %v", left)
		}
		return nil
	})
	for what, in := range map[string]api.VolumeCreate{
		"name": {Name: "../x", SizeMiB: 64}, "id": {Name: "v12", SizeMiB: 64}, "small": {Name: "x", SizeMiB: 1}, "large": {Name: "x", SizeMiB: api.MaxVolumeMiB + 1},
		"node": {Name: "x", SizeMiB: 64, Node: "n999"}, "cloud": {Name: "x", SizeMiB: 64, Cloud: "mars"},
	} {
		if _, err := d.CreateVolume(ctx, admin, "shop", in); api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := d.CreateVolume(context.WithoutCancel(ctx), admin, "shop", api.VolumeCreate{Name: "x", SizeMiB: 64, Node: "n1"}); !strings.Contains(fmt.Sprint(err), "manager") {
		t.Errorf("the manager's: %v", err)
	}
}

// TestVolumeForService: a volume for a service waits for its first machine and goes to its oldest one; it is refused where it could
// never be.
func TestVolumeForService(t *testing.T) {
	t.Parallel()
	d := directortest.Start(t, directortest.Options{Kinds: withVolumes()})
	ctx, admin, finish := t.Context(), d.Admin(), done(t, d, d.Admin())
	startShop(t, d)
	volumesServe(t, d, 1, true)
	finish(d.StopService(ctx, admin, "shop", "helloworld"))
	of := api.VolumeService{Service: "helloworld"}
	finish(d.CreateVolume(ctx, admin, "shop", api.VolumeCreate{Name: "early", SizeMiB: 64, VolumeService: of}))
	finish(d.CreateVolume(ctx, admin, "shop", api.VolumeCreate{Name: "free", SizeMiB: 64}))
	finish(d.AttachVolume(ctx, admin, "shop", "free", api.VolumeAttach{VolumeService: of}))
	if v := volumesOf(t, d)["free"]; v.Role != "node" || v.Node != "" || v.Automatic {
		t.Errorf("before there is a machine: %+v", v)
	}
	finish(d.StartService(ctx, admin, "shop", "helloworld"))
	finish(d.AddNodes(ctx, admin, "shop", "helloworld", api.NodesChange{Nodes: map[api.Role]int{"node": 1}}))
	finish(d.CreateVolume(ctx, admin, "shop", api.VolumeCreate{Name: "late", SizeMiB: 64, VolumeService: of}))
	nodes := volumesServe(t, d, 2, true)
	for _, name := range []string{"early", "free", "late"} {
		if v := volumesOf(t, d)[name]; v.Node != nodes[0].ID || v.State != api.VolumeAttached {
			t.Errorf("%s is %s at %s, want attached at %s", name, v.State, v.Node, nodes[0].ID)
		}
	}
	finish(d.AttachVolume(ctx, admin, "shop", "late", api.VolumeAttach{VolumeService: of}))
	before := volumesOf(t, d)
	for says, in := range map[string]api.VolumeCreate{
		`has no service "nothing"`:               {Name: "x", SizeMiB: 64, VolumeService: api.VolumeService{Service: "nothing"}},
		`has no role "web"; there are: node`:     {Name: "x", SizeMiB: 64, VolumeService: api.VolumeService{Service: "helloworld", Role: "web"}},
		"a role is of a service":                 {Name: "x", SizeMiB: 64, VolumeService: api.VolumeService{Role: "node"}},
		"a machine or a service, not both":       {Name: "x", SizeMiB: 64, Node: nodes[0].ID, VolumeService: of},
		"/data already; choose another name":     {Name: "data", SizeMiB: 64, VolumeService: of},
		`is on cloud default, and the volume wo`: {Name: "x", SizeMiB: 64, Cloud: "other", VolumeService: of},
		`volume "early" exists already`:          {Name: "early", SizeMiB: 64, VolumeService: of},
	} {
		if _, err := d.CreateVolume(ctx, admin, "shop", in); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", in, err, says)
		}
	}
	if after := volumesOf(t, d); !maps.EqualFunc(before, after, func(a, b api.Volume) bool { return a.ID == b.ID && a.State == b.State && a.Node == b.Node }) {
		t.Errorf("what was refused has changed %v to %v", before, after)
	}
}
