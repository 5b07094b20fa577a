package java

import (
	"testing"

	"conpaas/client/api"
)

func TestPatience(t *testing.T) {
	for limit, want := range map[string]int{"1": 1, "60": 60, "3600": 3600, "": 1} {
		if got := patience(map[string]string{api.RequestTimeout: limit}); got != want {
			t.Errorf("with %s=%q a program may say nothing for %d s, want %d", api.RequestTimeout, limit, got, want)
		}
	}
}
