package directortest_test

import (
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/cloud/cloudtest"
	"conpaas/director/directortest"
	"conpaas/director/userdata"
)

var _ cloud.Volumes = (*directortest.Cloud)(nil)

// The cloud in memory keeps volumes as all clouds do; nobody looks into them.
func TestVolumes(t *testing.T) {
	script, err := userdata.Script(api.Bootstrap{
		Director: "https://localhost:1", Deployment: "d1", Kind: api.KindAgent, Node: "n1", Token: "t", Issued: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cloudtest.RunVolumes(t, func(t *testing.T) cloud.Provider {
		c := directortest.NewCloud()
		t.Cleanup(c.Close)
		return c
	}, cloudtest.Options{UserData: script, NoVolumeProgram: true})
	cloudtest.RunVolumes(t, func(t *testing.T) cloud.Provider { return plain{directortest.NewCloud()} }, cloudtest.Options{NoVolumes: true})
}
