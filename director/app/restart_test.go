package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/directortest"
)

// A director that begins while everything runs as it should writes nothing of any: a thousand applications that connect again
// would otherwise be thousands of commits, and states that flicker before their owners.
func TestRestartOfWhatRunsWritesNothing(t *testing.T) {
	t.Parallel()
	dir, cloud := t.TempDir(), directortest.NewCloud()
	t.Cleanup(cloud.Close)
	first := start(t, directortest.Options{Dir: dir, Cloud: cloud})
	nodes := running(t, first, "shop", 2)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	var written []string
	second := start(t, directortest.Options{Dir: dir, Cloud: cloud, Failpoint: func(name string) error {
		mu.Lock()
		defer mu.Unlock()
		written = append(written, name)
		return nil
	}})
	directortest.Await(t, 30*time.Second, "the manager has reported to the new director", func() error {
		for _, n := range must[[]api.Node](t)(second.ApplicationNodes(t.Context(), second.Admin(), "shop")) {
			if slices.Contains(nodes, n.ID) && len(n.Roles) == 0 {
				return fmt.Errorf("nothing is known of %s", n.ID)
			}
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	ofInstallation := []string{"open", "credit.opened", "credit.charged", "audit.pruned", "certificate.shown"} // however many applications there are
	for _, name := range written {
		if transaction, _, _ := strings.Cut(name, "/"); !slices.Contains(ofInstallation, transaction) {
			t.Errorf("transaction %s", name)
		}
	}
}
