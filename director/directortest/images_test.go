package directortest_test

import (
	"testing"

	"conpaas/director/cloud"
	"conpaas/director/cloud/cloudtest"
	"conpaas/director/directortest"
)

var _ cloud.Images = (*directortest.Cloud)(nil)

// The cloud in memory keeps images as all clouds do.
func TestImages(t *testing.T) {
	cloudtest.RunImages(t, func(t *testing.T) cloud.Provider {
		c := directortest.NewCloud()
		t.Cleanup(c.Close)
		return c
	}, cloudtest.Options{})
}

// plain is a cloud without images.
type plain struct{ cloud.Provider }

// A cloud without images is one that says so.
func TestWithoutImages(t *testing.T) {
	cloudtest.RunImages(t, func(t *testing.T) cloud.Provider {
		c := directortest.NewCloud()
		t.Cleanup(c.Close)
		return plain{c}
	}, cloudtest.Options{NoImages: true})
}
