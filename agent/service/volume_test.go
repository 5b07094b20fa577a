package service

import (
	"testing"

	"conpaas/client/api"
)

func TestVolumePath(t *testing.T) {
	n := Node{Volumes: []api.VolumeMount{{ID: "v1", Name: "data", Path: "/root/var/lib/conpaas/volumes/data"}}}
	if path, err := VolumePath(n, "data"); err != nil || path != "/root/var/lib/conpaas/volumes/data" {
		t.Errorf("%q, %v", path, err)
	}
	path, err := VolumePath(n, "other")
	if waits, _ := Waits(err); !waits || path != "" {
		t.Errorf("%q, %v", path, err)
	}
}
