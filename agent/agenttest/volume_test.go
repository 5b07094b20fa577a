package agenttest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/agent/agenttest"
	"conpaas/client/api"
)

// TestVolumes: an agent mounts a device and says so, also after a restart, awaits what its cloud is to mount, and lets go of what is not
// in its spec any more.
func TestVolumes(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	a, _ := serving(t, p, "n2")
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Fatalf("make a block device (needs root): %v", err)
	}
	disk := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		for _, name := range []string{"files", "cloud"} {
			_ = unix.Unmount(a.Path("volumes/"+name), unix.MNT_DETACH)
		}
		if out, err := exec.Command("losetup", "--detach", disk).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	put := func(revision uint64, volumes ...api.VolumeMount) {
		t.Helper()
		spec := p.Spec(t, "n2", "Hello", port)
		spec.Revision, spec.Volumes = revision, volumes
		if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); err != nil {
			t.Fatal(err)
		}
	}
	own := api.VolumeMount{ID: "v1", Name: "files", Device: disk, Path: "/var/lib/conpaas/volumes/files"}
	clouds := api.VolumeMount{ID: "v2", Name: "cloud", Path: "/var/lib/conpaas/volumes/cloud"}
	put(2, own)
	if s := p.AwaitReady(t, "n2", 2); !slices.Equal(s.Volumes, []api.VolumeID{"v1"}) {
		t.Errorf("it has mounted %v", s.Volumes)
	}
	if err := os.WriteFile(a.Path("volumes/files/file"), nil, 0o600); err != nil {
		t.Error(err)
	}
	a.Stop(t)
	agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: a.Root})
	p.AwaitStatus(t, "n2", "it knows its volume after a restart", func(s api.NodeStatus) bool { return slices.Equal(s.Volumes, []api.VolumeID{"v1"}) })

	put(3, own, clouds)
	p.AwaitStatus(t, "n2", "it waits for the cloud", func(s api.NodeStatus) bool { return strings.Contains(s.Error, "the cloud has not mounted it") })
	if err := os.MkdirAll(a.Path("volumes/cloud"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", a.Path("volumes/cloud"), "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	if s := p.AwaitReady(t, "n2", 3); !slices.Equal(s.Volumes, []api.VolumeID{"v1"}) {
		t.Errorf("it has mounted %v itself", s.Volumes)
	}
	put(4)
	if s := p.AwaitReady(t, "n2", 4); len(s.Volumes) != 0 {
		t.Errorf("it has %v still", s.Volumes)
	}
	if _, err := os.Stat(a.Path("volumes/files/file")); err == nil {
		t.Error("it has not unmounted the volume")
	}
	for what, v := range map[string]api.VolumeMount{
		"elsewhere":    {ID: "v3", Name: "x", Path: "/etc"},
		"upwards":      {ID: "v3", Name: "..", Path: "/var/lib/conpaas/volumes/.."},
		"no device":    {ID: "v3", Name: "x", Device: "/etc/passwd", Path: "/var/lib/conpaas/volumes/x"},
		"dotted":       {ID: "v3", Name: "x", Device: "/dev/../etc/passwd", Path: "/var/lib/conpaas/volumes/x"},
		"no volume id": {ID: "../v3", Name: "x", Path: "/var/lib/conpaas/volumes/x"},
	} {
		spec := p.Spec(t, "n2", "Hello", port)
		spec.Revision, spec.Volumes = 5, []api.VolumeMount{v}
		if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), spec); api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}
